"""The command line: what people type and read. Commands are imported when they are called, so that --help is instant."""
