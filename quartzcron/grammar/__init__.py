"""From text to fields and back: the parser, the diagnosis of errors, the normal form, `H`."""
