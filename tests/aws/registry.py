"""What small services need of AWS's behaviour beyond moto, found while checking that berth's calls work."""


def install(world):
    pass
