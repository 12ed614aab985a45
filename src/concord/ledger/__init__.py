"""What is signed and what is stored: records, logs, mirrors, witnesses, blobs, and the view computed from them."""
