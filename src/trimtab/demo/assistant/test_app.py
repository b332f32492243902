import unittest

from app import answer


class Answers(unittest.TestCase):
    def test_finds_the_fact(self):
        self.assertIn("30 days", answer("how long may I return a parcel")["answer"])

    def test_is_polite(self):
        self.assertTrue(answer("hello")["answer"].startswith("Thank you for asking."))


if __name__ == "__main__":
    unittest.main()
