"""How much of the stereotype effect falls when the model is made to see the group."""
