"""Which sense of an identifier can be read off the residual stream."""
