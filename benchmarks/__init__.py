"""What facecli promises, measured. Run from the repository root; README.md says how."""
