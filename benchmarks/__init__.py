"""How many trials prior studies save, and when they do harm: experiments and their report."""
