"""Who speaks when: turns and the people who speak in them."""
