"""Is everything in order? `examine` looks; what fails is a finding, never an exception."""
