"""Two applications whose rollouts move step by step together, and return together."""

from __future__ import annotations

import json
import shutil

from tests.e2e.world import SHOP, World, free_port, users, wait_for
from trimtab.views.model import RolloutView

GROUP = "group: {name: checkout, members: [shop/production, cart/production], gather: 30s}\n"
TOGETHER = "{canary: {steps: [{weight: 20%, hold: 1s, requests: 5}, {weight: 50%, hold: 1s, requests: 5}]}}"


class Cart:
    """The other application, in a repository of its own."""

    def __init__(self, world: World) -> None:
        self.world, self.port = world, free_port()
        self.repository = world.folder / "cart"
        shutil.copytree(SHOP, self.repository)
        world.git("init", "--quiet", "--initial-branch=main", cwd=self.repository)
        text = (world.repository / "trimtab.yaml").read_text()
        own = text.replace("app: shop", "app: cart").replace(str(world.port), str(self.port))
        (self.repository / "trimtab.yaml").write_text(own)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def register(self) -> None:
        self.world.client.register("cart")
        remote = self.world.git("remote", "get-url", "trimtab").replace("/shop.git", "/cart.git")
        self.world.git("remote", "add", "trimtab", remote, cwd=self.repository)

    def push(self, **behaviour: float) -> None:
        (self.repository / "behaviour.json").write_text(json.dumps(behaviour))
        self.world.git("add", "--all", cwd=self.repository)
        self.world.git("commit", "--quiet", "--message", f"Behave as {behaviour}", cwd=self.repository)
        self.world.git("push", "--quiet", "trimtab", "main", cwd=self.repository)


def newest(world: World, app: str) -> RolloutView | None:
    """The application's newest rollout, once there is one."""
    return next(iter(world.client.rollouts(app, "production")), None)


def ended(world: World, app: str, number: int) -> RolloutView:
    def look() -> RolloutView | None:
        seen = newest(world, app)
        return seen if seen is not None and seen.number == number and seen.ended else None

    return wait_for(look, within_s=60.0, why=f"rollout {number} of {app} ends")


def waits(world: World) -> str | None:
    """Why the shop's second rollout is held."""
    seen = newest(world, "shop")
    return seen.held or None if seen is not None and seen.number == 2 else None


def test_a_group_moves_and_returns_together(world: World) -> None:
    world.plant(strategy=TOGETHER, more=GROUP)
    cart = Cart(world)
    world.up()
    cart.register()
    world.push(version=1)
    cart.push(version=1)
    assert [ended(world, app, 1).status for app in ("shop", "cart")] == ["promoted", "promoted"]

    with users(world.url) as of_shop, users(cart.url) as of_cart:
        world.push(version=2)
        held = wait_for(lambda: waits(world), why="the first one waits for the other")
        assert "cart/production of the group checkout has no rollout yet" in held
        assert set(of_shop.versions) == {"version 1"}
        cart.push(version=2)
        assert [ended(world, app, 2).status for app in ("shop", "cart")] == ["promoted", "promoted"]

        world.push(version=3)
        cart.push(version=3, fail=0.9)
        worse, healthy = ended(world, "cart", 3), ended(world, "shop", 3)
        assert (worse.status, worse.verdict) == ("rolled_back", "FAIL")
        assert healthy.status == "aborted"
        assert "cart/production of its group went back" in healthy.reason
        assert world.production.quarantined == ()
    assert not of_shop.bad
    assert set(of_cart.bad) <= {"500"}
