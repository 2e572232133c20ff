"""Language models: trained or finished, and the hook sites in them."""
