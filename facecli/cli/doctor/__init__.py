"""Is everything in order? `examine` looks; what fails is a check at fault, never an exception."""
