"""Files that are whole or not there, what made them, and work on several cores."""
