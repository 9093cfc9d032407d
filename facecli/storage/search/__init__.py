"""Who is most alike, in a gallery file: all templates, or a sidecar that proposes."""
