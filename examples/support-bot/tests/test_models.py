import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from bot.models import Reply, ask

PROMPT = """
[1] Returns
You may return it. Within 30 days you get your money back, and you need not say why.

[2] Delivery
It takes two days.

Question: {question}
"""


def messages(question, prompt=PROMPT):
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": prompt.format(question=question)}]


class Provider:
    """A server that speaks the chat API: answers with a status and a body, keeps what it was asked."""

    def __init__(self, status, body):
        provider = self
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                provider.asked.append((self.path, json.loads(content)))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def said(text):
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


class Extraction(unittest.TestCase):
    MODEL = {"provider": "none", "name": "extraction"}

    def test_it_says_the_sentence_that_answers_best_and_cites_it(self):
        reply = ask(self.MODEL, messages("when do I get my money"))
        self.assertEqual(
            (reply.text, reply.model),
            ("Within 30 days you get your money back, and you need not say why. (Returns) [1]", "extraction"),
        )

    def test_several_sentences_keep_their_order(self):
        reply = ask({**self.MODEL, "parameters": {"sentences": 2}}, messages("money"))
        self.assertTrue(reply.text.startswith("You may return it. Within"))

    def test_a_prompt_without_numbered_passages_tells_it_nothing(self):
        for prompt in (PROMPT.replace("[1]", "*").replace("[2]", "*"), PROMPT.replace("Question:", "Q:")):
            self.assertEqual(ask(self.MODEL, messages("money", prompt)).text, "")


class Asking(unittest.TestCase):
    def test_a_model_gets_the_messages_and_its_parameters_without_ours(self):
        with Provider(200, said(" Yes. [1]\n")) as provider:
            model = {"provider": "openai", "name": "small", "url": provider.url}
            reply = ask({**model, "parameters": {"seed": 7, "timeout_s": 5, "sentences": 2}}, messages("May I?"))
        self.assertEqual((reply.text, reply.model), ("Yes. [1]", "small"))
        self.assertEqual(
            provider.asked,
            [("/v1/chat/completions", {"model": "small", "messages": messages("May I?"), "seed": 7})],
        )

    def test_one_that_fails_is_replaced_and_the_answer_says_so(self):
        for status, body, why in (
            (500, b"", "HTTP Error 500: Internal Server Error"),
            (200, b"no JSON", "Expecting value: line 1 column 1 (char 0)"),
            (200, b'{"choices": []}', "list index out of range"),
            (200, said("  "), "it said nothing"),
        ):
            with self.subTest(why), Provider(status, body) as provider:
                reply = ask({"provider": "openai", "name": "small", "url": provider.url}, messages("money"))
                self.assertIn("Within 30 days", reply.text)
                self.assertEqual(reply.model, f"extraction (small failed: {why})")

    def test_fallbacks_are_asked_in_order(self):
        with Provider(503, b"") as down, Provider(200, said("Fine. [2]")) as up:
            other = {"provider": "openai", "name": "other", "url": up.url}
            reply = ask({"provider": "openai", "name": "small", "url": down.url, "fallback": [other]}, messages("x"))
        self.assertEqual(reply, Reply("Fine. [2]", "other (small failed: HTTP Error 503: Service Unavailable)"))


if __name__ == "__main__":
    unittest.main()
