def install(world):
    pass
