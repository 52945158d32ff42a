"""The report of a search, for people: what won and why, what the time went into, what was left out."""
