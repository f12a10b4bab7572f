"""Artist group factors: dictionary, bag of words, latent Dirichlet."""
