"""One file a hypervisor; the folder is the list of drivers."""
