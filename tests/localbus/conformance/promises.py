"""Which tests hold which row of the feature table in docs/reference/localbus.md.

One place to read instead of a mark on every test; `test_promises.py` sees to it that the rows, the
page and the tests agree.
"""

from __future__ import annotations

_Q, _A, _S = "test_queues.py", "test_queues_aio.py", "test_sessions.py"
_SA, _T = "test_sessions_aio.py", "test_topics.py"
_ADMIN, _ADMIN_T = "admin/test_api.py", "admin/test_topics.py"

PROMISES: dict[str, dict[str, list[str]]] = {
    "send, batch send": {
        _Q: [
            "test_a_message_arrives_as_it_was_sent",
            "test_every_kind_of_body_passes",
            "test_order_is_that_of_arrival",
            "test_large_messages_pass_in_many_frames",
        ],
    },
    "peek-lock": {
        _Q: ["test_completed_messages_are_gone", "test_two_receivers_share_the_work"],
        _A: [
            "test_a_batch_is_received_and_settled_together",
            "test_a_receiver_that_waits_is_woken",
        ],
    },
    "receive-and-delete": {
        _Q: ["test_receive_and_delete_takes_at_once"],
        _A: ["test_receive_and_delete_by_iterating"],
    },
    "complete, abandon, defer, dead-letter": {
        _Q: [
            "test_an_abandoned_message_comes_back_in_its_place",
            "test_dead_lettering_keeps_the_message_and_says_why",
            "test_a_message_is_settled_after_its_connection_was_lost",
        ],
        _A: ["test_every_settlement_does_what_it_says"],
    },
    "receive deferred by sequence number": {
        _Q: [
            "test_deferred_messages_wait_to_be_asked_for",
            "test_a_deferred_message_abandoned_stays_deferred",
        ],
    },
    "renew lock, lock lost": {
        _Q: ["test_a_lapsed_lock_brings_the_message_back", "test_a_renewed_lock_holds"],
        _A: ["test_locks_lapse_and_renew", "test_the_lock_renewer_keeps_a_lock"],
    },
    "locks of closed receivers": {
        _Q: [
            "test_a_receiver_that_closes_keeps_its_locks",
            "test_prefetched_messages_are_released_on_close",
        ],
    },
    "max delivery count": {_Q: ["test_too_many_deliveries_dead_letter"]},
    "`$DeadLetterQueue`": {_Q: ["test_a_dead_letter_cannot_die_twice"]},
    "time to live, dead-lettering on expiry": {
        _Q: [
            "test_expired_messages_are_dropped",
            "test_expired_messages_are_dead_lettered_when_asked",
        ],
    },
    "schedule, cancel": {
        _Q: ["test_scheduled_messages_come_when_due", "test_cancelled_schedules_never_come"],
        _A: ["test_schedule_cancel_and_peek"],
    },
    "duplicate detection": {_Q: ["test_duplicates_within_the_window_are_dropped"]},
    "peek": {
        _Q: ["test_peek_shows_everything_and_locks_nothing", "test_peek_of_nothing_is_empty"],
    },
    "message size": {
        _Q: ["test_oversize_messages_are_refused"],
        _A: ["test_errors_have_the_sdks_types"],
    },
    "unknown entity": {
        _Q: ["test_unknown_queues_are_not_found", "test_names_ignore_case"],
        _A: ["test_a_deleted_queue_detaches_its_clients"],
    },
    "entity status": {_Q: ["test_a_disabled_queue_refuses"]},
    "sessions": {
        _Q: ["test_a_session_receiver_on_a_plain_queue_is_refused"],
        _S: [
            "test_a_session_is_received_in_order_and_alone",
            "test_one_receiver_holds_a_session",
            "test_next_available_gives_each_receiver_another_session",
            "test_next_available_waits_for_a_session",
            "test_next_available_times_out",
            "test_a_session_lock_runs_out",
            "test_a_renewed_session_holds",
            "test_deferring_and_dead_lettering_stay_in_the_session",
            "test_scheduled_messages_join_their_session",
            "test_receive_and_delete_in_a_session",
            "test_peek_in_a_session_shows_that_session",
            "test_sessions_and_plain_queues_do_not_mix",
            "test_a_dropped_connection_frees_its_session",
            "test_a_closed_session_counts_no_delivery",
            "test_too_many_deliveries_dead_letter_within_a_session",
            "test_expired_messages_leave_their_session",
        ],
        _SA: [
            "test_workers_share_out_the_sessions",
            "test_a_session_is_held_renewed_and_lost",
            "test_the_lock_renewer_keeps_a_session",
        ],
    },
    "session state, lists": {
        _SA: ["test_sessions_are_listed"],
        _S: [
            "test_state_is_kept_with_the_session",
            "test_state_of_a_lost_session_is_out_of_reach",
            "test_sessions_are_listed",
        ],
    },
    "topics, subscriptions": {
        _T: [
            "test_each_subscription_gets_a_copy",
            "test_a_waiting_subscriber_is_served",
            "test_scheduled_on_a_topic",
            "test_duplicates_are_dropped_by_the_topic",
            "test_sessions_on_a_subscription",
            "test_topics_are_sent_to_and_subscriptions_received_from",
        ],
        _SA: ["test_a_topic_fans_out"],
    },
    "rules: correlation and SQL filters, actions": {
        _T: ["test_filters_choose", "test_rules_are_managed_over_amqp"],
        _ADMIN_T: [
            "test_rules_keep_every_detail",
            "test_rules_are_updated_and_deleted",
            "test_rules_that_cannot_be_are_refused",
        ],
    },
    "auto-forwarding": {
        _T: ["test_forwarding_reaches_the_last_in_the_chain", "test_dead_letters_are_forwarded"],
        _ADMIN_T: ["test_forwarding_is_shown_and_updated"],
    },
    "`$Transfer/$DeadLetterQueue`": {
        _T: ["test_what_cannot_be_forwarded_is_in_the_transfer_dead_letter_queue"],
    },
    "admin API": {
        _ADMIN_T: [
            "test_a_topic_is_created_found_updated_and_deleted",
            "test_a_subscription_is_created_found_updated_and_deleted",
            "test_lists_are_complete_over_pages",
            "test_runtime_properties_count",
        ],
        _ADMIN: [
            "test_what_is_fixed_at_creation_cannot_be_updated",
            "test_a_queue_is_created_as_asked",
            "test_defaults_are_those_of_the_service",
            "test_runtime_properties_count_by_state",
            "test_a_queue_is_updated",
            "test_a_queue_is_deleted",
            "test_creating_twice_is_a_conflict",
        ],
    },
}
"""Row of the table -> test file under tests/localbus -> functions."""


def row_of(nodeid: str) -> str | None:
    """The row that a test holds, by its node id."""
    path, _, rest = nodeid.partition("::")
    function = rest.partition("[")[0]
    for row, files in PROMISES.items():
        for file, functions in files.items():
            if path.endswith(f"tests/localbus/{file}") and function in functions:
                return row
    return None
