"""How good a model is: metrics of reconstructions, likelihoods and samples, beside a baseline, and the report."""
