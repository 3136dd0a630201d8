"""What tests in Python share: the parts berth runs with, real ones, each started and ended by the test that wants it."""
