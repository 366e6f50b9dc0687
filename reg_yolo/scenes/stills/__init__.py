"""Still images: what one shows, and whole sets of them."""
