"""Topics and their subscriptions: one message in, a copy out for each rule that asks for one.

A topic keeps only what is scheduled; a subscription is a queue that its topic fills. Within a
subscription the matching rules without an action make one copy together, and each matching rule
with an action makes one of its own. Source: Azure Service Bus documentation, topic filters.
"""

from __future__ import annotations

from dataclasses import replace

from localbus.broker.entity import MAIN, MessagingEntity, Site
from localbus.broker.errors import EntityExists, EntityNotFound, NotAllowed
from localbus.broker.mailbox import Mailbox
from localbus.broker.message import Message, StoredContent
from localbus.broker.properties import SubscriptionProperties, TopicProperties
from localbus.broker.queue import Queue
from localbus.broker.rules import Rule, RuleMessage, default_rule
from localbus.broker.sql import EvaluationError
from localbus.store import Entity as Row

SEPARATOR = "/Subscriptions/"
MAX_RULES = 2_000


class Topic(MessagingEntity):
    """See the module."""

    properties: TopicProperties

    def __init__(self, row: Row, properties: TopicProperties, site: Site) -> None:
        super().__init__(row, properties, site)
        self.main = Mailbox(self._mailbox_id(MAIN), site.store, self)
        self.subscriptions: dict[str, Subscription] = {}
        """By name in lower case."""

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        return (self.main,)

    def _enqueue(self, message: Message, now_ms: int) -> None:
        if not self.subscriptions:
            return
        content = message.content
        assert content is not None
        seen = RuleMessage(content.bare)
        for name in sorted(self.subscriptions):
            self.subscriptions[name].offer(message, seen, now_ms)

    def expire(self, message: Message, now_ms: int) -> None:
        """Never asked: what is scheduled does not expire, and nothing else stays."""
        self.main.remove(message)

    def exhausted(self, message: Message, now_ms: int) -> bool:
        return False


class Subscription(Queue):
    """A queue that its topic fills, by rules."""

    properties: SubscriptionProperties

    def __init__(
        self, row: Row, properties: SubscriptionProperties, site: Site, topic: Topic
    ) -> None:
        super().__init__(row, properties, site)
        self.topic = topic
        self.short_name = row.name.partition(SEPARATOR)[2]
        self.rules: dict[str, Rule] = {}
        """By name in lower case."""
        for name, values, created_ms in site.store.rules(self.id):
            self.rules[name.lower()] = Rule.from_dict(name, values, created_ms)

    # -- rules -----------------------------------------------------------------------------

    def list_rules(self) -> list[Rule]:
        """By name."""
        return [self.rules[name] for name in sorted(self.rules)]

    def rule(self, name: str) -> Rule:
        """Raises EntityNotFound."""
        found = self.rules.get(name.lower())
        if found is None:
            raise EntityNotFound(f"{self.name}/Rules/{name}")
        return found

    def add_rule(self, rule: Rule) -> None:
        """Raises EntityExists, NotAllowed when there are too many."""
        if rule.name.lower() in self.rules:
            raise EntityExists(f"{self.name}/Rules/{rule.name}")
        if len(self.rules) >= MAX_RULES:
            raise NotAllowed(f"A subscription has at most {MAX_RULES} rules.")
        self._keep(rule)

    def update_rule(self, rule: Rule) -> None:
        """Replace the rule of this name. Raises EntityNotFound."""
        self._keep(replace(rule, created_ms=self.rule(rule.name).created_ms))

    def add_default_rule(self, now_ms: int) -> None:
        self._keep(default_rule(now_ms))

    def remove_rule(self, name: str) -> None:
        """Raises EntityNotFound."""
        rule = self.rule(name)
        del self.rules[name.lower()]
        self._store.remove_rule(self.id, rule.name)

    def _keep(self, rule: Rule) -> None:
        self.rules[rule.name.lower()] = rule
        self._store.put_rule(self.id, rule.name, rule.as_dict(), rule.created_ms)

    # -- messages --------------------------------------------------------------------------

    def offer(self, message: Message, seen: RuleMessage, now_ms: int) -> None:
        """A message of the topic: take the copies that the rules ask for."""
        plain, changed = False, list[Message]()
        try:
            for rule in self.list_rules():
                if plain and rule.action is None:
                    continue
                if rule.filter.matches(seen):
                    if rule.action is None:
                        plain = True
                    else:
                        changed.append(self._changed(message, seen.changed(rule)))
        except EvaluationError as error:
            self._take_unjudged(message, str(error), now_ms)
            return
        if plain:
            self.take_over(message, now_ms)
        for each in changed:
            self.take_over(each, now_ms)

    def _changed(self, message: Message, changed: RuleMessage) -> Message:
        """The copy that an action made. Raises EvaluationError when it is too large."""
        content = message.content
        assert content is not None
        bare = changed.bare()
        size = message.size + len(bare) - len(content.bare)
        if size > self.topic.properties.max_message_bytes:
            raise EvaluationError(f"the action makes a message of {size} bytes")
        return replace(
            message,
            session_id=changed.session_id,
            size=size,
            content=StoredContent(content.head, content.pairs, content.pair_count, bare),
        )

    def _take_unjudged(self, message: Message, words: str, now_ms: int) -> None:
        """As the service does, by choice: a rule that fails dead-letters, or matches nothing."""
        if self.properties.dead_letter_on_filter_errors:
            numbered = replace(message, sequence_number=self._allot_sequence())
            facts = {
                "DeadLetterReason": "FilterEvaluationException",
                "DeadLetterErrorDescription": words,
            }
            self._bury(numbered, now_ms, facts)
