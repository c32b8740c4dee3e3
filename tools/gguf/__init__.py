"""What holds Pollard's GGUF work against llama.cpp: its loader, its converter, small models of every family."""
