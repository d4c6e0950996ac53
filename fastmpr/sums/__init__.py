"""The normal equations: what the iterations see of the views, and how views become part of them."""
