"""What people do with tierwise, one file each; the command line and durable jobs call these."""
