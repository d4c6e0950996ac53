"""ADMM on the normal equations, the regularisers it knows, and the choice of lam."""
