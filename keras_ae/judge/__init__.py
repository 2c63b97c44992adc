"""How good a model is: metrics of reconstructions, likelihoods and samples, baselines, and the report."""
