"""A campaign of wrong inputs, kills and crowds against keras_ae: python benchmarks/soak --minutes 20 --seed 0"""
