"""Several workers at one study: threads, processes, storages, and what goes wrong with them."""
