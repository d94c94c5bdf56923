"""Types, mathematics and lookups that all packages share; this one imports no other package."""
