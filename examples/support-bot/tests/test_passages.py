import unittest

from bot.passages import LONGEST, Passage, sentences, split

DOCUMENT = """# Prices

All prices are in euros.

## Discounts

- Students pay [half](students.md).
- Groups pay less.

```sh
# this is no heading
```

| who | how much |
|---|---|
| children | nothing |
"""


class Splitting(unittest.TestCase):
    def test_each_section_is_a_passage_under_both_headings(self):
        self.assertEqual(
            split("p.md", DOCUMENT),
            [
                Passage("p.md", "Prices", "All prices are in euros."),
                Passage(
                    "p.md", "Prices: Discounts", "Students pay half. Groups pay less. who how much children nothing"
                ),
            ],
        )

    def test_a_long_section_becomes_several_passages_and_no_word_is_lost(self):
        paragraphs = [f"Sentence {number} of a long section has a few words." for number in range(60)]
        for joint in (" ", "\n\n"):
            passages = split("p.md", "# T\n\n" + joint.join(paragraphs))
            self.assertGreater(len(passages), 3)
            self.assertTrue(all(len(passage.text) <= LONGEST for passage in passages))
            self.assertEqual(" ".join(passage.text for passage in passages), " ".join(paragraphs))

    def test_one_endless_word_is_cut(self):
        self.assertEqual([len(each.text) for each in split("p.md", "x" * (LONGEST + 5))], [LONGEST, 5])

    def test_a_document_without_text_has_no_passages(self):
        self.assertEqual(split("p.md", "# Title\n\n```\ncode\n```\n"), [])

    def test_sentences(self):
        self.assertEqual(
            sentences("It costs 3.50 euros. Really? `x` does."), ["It costs 3.50 euros.", "Really?", "`x` does."]
        )


if __name__ == "__main__":
    unittest.main()
