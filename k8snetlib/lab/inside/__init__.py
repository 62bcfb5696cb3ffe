"""What runs inside the lab's helper process: started by path, with the standard library and pyroute2 alone, so that it starts fast."""
