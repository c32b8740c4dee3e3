print("pollard")
