//! The program on a real Kafka broker. One broker serves all tests of this file; each has topics of its own prefix.

#[path = "kafka/brokers.rs"]
mod brokers;
#[path = "kafka/cluster.rs"]
mod cluster;
#[cfg(feature = "planted")]
#[path = "kafka/controls.rs"]
mod controls;
#[path = "kafka/disk.rs"]
mod disk;
#[path = "kafka/expiry.rs"]
mod expiry;
#[path = "kafka/flock.rs"]
mod flock;
#[path = "kafka/floors.rs"]
mod floors;
#[path = "kafka/full_disk.rs"]
mod full_disk;
#[path = "kafka/kills.rs"]
mod kills;
#[path = "kafka/network.rs"]
mod network;
#[path = "kafka/ports.rs"]
mod ports;
#[path = "kafka/promises.rs"]
mod promises;
#[path = "kafka/proxy.rs"]
mod proxy;
#[path = "kafka/raw.rs"]
mod raw;
#[path = "kafka/rights.rs"]
mod rights;
#[path = "kafka/runs.rs"]
mod runs;
#[path = "kafka/secure.rs"]
mod secure;
#[path = "kafka/site.rs"]
mod site;
#[path = "kafka/spread.rs"]
mod spread;
#[path = "kafka/storm.rs"]
mod storm;
mod support;
#[path = "kafka/tls.rs"]
mod tls;
#[path = "kafka/trial.rs"]
mod trial;
#[path = "kafka/watch.rs"]
mod watch;
#[path = "kafka/zombies.rs"]
mod zombies;

use cluster::Cluster;

#[test]
fn one_broker_serves_them_all() {
    let mut cluster = Cluster::start(1);
    timed("records_and_positions_are_committed_together", || {
        promises::records_and_positions_are_committed_together(&cluster)
    });
    timed("aborted_transactions_are_not_seen", || promises::aborted_transactions_are_not_seen(&cluster));
    timed("reads_come_past_markers", || promises::reads_come_past_markers(&cluster));
    timed("ends_count_open_transactions", || promises::ends_count_open_transactions(&cluster));
    timed("a_log_that_is_away_is_an_error", || promises::a_log_that_is_away_is_an_error(&cluster));
    timed("a_record_that_its_topic_refuses_is_fatal", || promises::a_record_that_its_topic_refuses_is_fatal(&cluster));
    timed("a_second_life_fences_the_first", || promises::a_second_life_fences_the_first(&cluster));
    timed("partitions_that_moved_are_fenced", || promises::partitions_that_moved_are_fenced(&cluster));
    timed("seeks_replay", || promises::seeks_replay(&cluster));
    timed("preferred_topics_come_first", || promises::preferred_topics_come_first(&cluster));
    timed("the_brokers_clock_is_told", || promises::the_brokers_clock_is_told(&cluster));
    timed("the_worked_example_comes_out_as_written", || runs::the_worked_example_comes_out_as_written(&cluster));
    timed("a_firehose_comes_out_as_on_the_embedded_log", || {
        runs::a_firehose_comes_out_as_on_the_embedded_log(&cluster)
    });
    timed("a_load_comes_out_as_it_must", || runs::a_load_comes_out_as_it_must(&cluster));
    timed("killed_processes_change_nothing", || kills::killed_processes_change_nothing(&cluster));
    timed("processes_killed_at_any_step_change_nothing", || {
        kills::processes_killed_at_any_step_change_nothing(&cluster)
    });
    timed("posts_may_be_spread_and_uneven", || spread::posts_may_be_spread_and_uneven(&cluster));
    timed("zombies_change_nothing", || zombies::zombies_change_nothing(&cluster));
    timed("ends_of_transactions_get_lost_or_come_late", || {
        network::ends_of_transactions_get_lost_or_come_late(&cluster)
    });
    timed("an_open_transaction_is_told", || network::an_open_transaction_is_told(&cluster));
    timed("the_cluster_is_away_for_a_while", || network::the_cluster_is_away_for_a_while(&cluster));
    timed("tls_where_the_build_has_it", || tls::tls_where_the_build_has_it(&cluster));
    timed("rights_that_are_missing_are_told", || rights::rights_that_are_missing_are_told(&cluster));
    timed("topics_that_grew_are_refused", || runs::topics_that_grew_are_refused(&cluster));
    timed("a_topic_that_grows_ends_the_program", || runs::a_topic_that_grows_ends_the_program(&cluster));
    timed("mistakes_are_told", || runs::mistakes_are_told(&cluster));
    timed("a_broker_may_be_killed", || promises::a_broker_may_be_killed(&mut cluster));
}

/// Figures, which only an optimised build on a quiet machine has.
#[test]
#[ignore = "tests/campaign floors"]
fn what_it_costs_on_a_cluster() {
    let cluster = Cluster::start(1);
    timed("cost", || floors::program_against_a_consumer_that_does_nothing(&cluster));
    timed("transactions", || floors::transactions_against_a_bare_loop(&cluster));
    timed("storm", || storm::processes_come_and_go(&cluster));
    timed("expiry", || expiry::everything_ends_at_once(&cluster));
    timed("idle", || floors::prompts_while_idle(&cluster));
}

/// Takes a program in which mistakes can be planted.
#[cfg(feature = "planted")]
#[test]
fn mistakes_are_noticed() {
    let cluster = Cluster::start(1);
    for (name, mishaps, bugs) in controls::CONTROLS {
        timed(&format!("{name} without a mistake"), || controls::go_through(&cluster, name, None, mishaps));
        for bug in bugs {
            timed(bug.name(), || controls::go_through(&cluster, bug.name(), Some(*bug), mishaps));
        }
    }
}

/// Three brokers on a small machine take their time: a campaign, not for every run.
#[test]
#[ignore = "tests/campaign kafka"]
fn three_brokers_serve_them_too() {
    let mut cluster = Cluster::start(3);
    timed("three: the_worked_example_comes_out_as_written", || runs::the_worked_example_comes_out_as_written(&cluster));
    timed("three: brokers_restart_one_after_the_other", || brokers::brokers_restart_one_after_the_other(&mut cluster));
}

/// Mounts a disk, which takes root.
#[test]
#[ignore = "tests/campaign disk"]
fn a_disk_may_be_full() {
    timed("the_only_disk_is_full_for_a_while", || {
        full_disk::the_only_disk_is_full_for_a_while(&mut Cluster::start_small(1, full_disk::SMALL_MIB));
    });
    timed("one_of_three_disks_is_full_for_a_while", || {
        full_disk::one_of_three_disks_is_full_for_a_while(&mut Cluster::start_small(3, full_disk::SMALL_MIB));
    });
}

/// `ONLY=kill` runs those whose name has it: campaigns give one of them more to do.
fn timed(name: &str, test: impl FnOnce()) {
    if std::env::var("ONLY").is_ok_and(|only| !name.contains(&only)) {
        println!("{name}: left out, as asked by ONLY");
        return;
    }
    let begun = std::time::Instant::now();
    test();
    println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
}
