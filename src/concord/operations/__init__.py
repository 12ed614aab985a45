"""What is done with a whole node: begin one, demonstrate, keep it up, verify it, export its logs."""
