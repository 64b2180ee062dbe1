//! The tables, for people.

use tests::prices::{READ_UNIT, WRITE_UNIT};

use crate::{
    bank::Bank,
    deposits,
    writers::{self, DEPOSITS, WRITERS},
};

/// Prints everything.
pub fn all(bank: &Bank, deposits: &[deposits::Row], writers: &[writers::Row]) {
    println!("A deposit, beside other event stores: the mean of 100 around each length\n");
    for rows in deposits.chunk_by(|one, other| one.past_events == other.past_events) {
        table(rows);
    }
    println!(
        "$/M: what DynamoDB asks for a million of them (on demand, us-east-1 list). Times are multiples of the first"
    );
    println!(
        "line's in the same run; throughput is one caller's, one deposit after the other. A balance is right if the state"
    );
    println!("that the next command decides on holds every recorded deposit once.\n");
    for system in &bank.plain {
        println!("{:<40} {}", system.name(), system.remark());
    }
    println!("\n{WRITERS} writers on one account at once, {DEPOSITS} deposits each: {} in all\n", WRITERS * DEPOSITS);
    println!(
        "{:<40} {:<12} {:>12} {:>10} {:>7} {:>9} {:>9}  balance",
        "system", "caller", "acknowledged", "conflicts", "errors", "requests", "recorded"
    );
    for row in writers {
        let after = if row.caller_tries_again { "tries again" } else { "gives up" };
        println!(
            "{:<40} {after:<12} {:>12} {:>10} {:>7} {:>9} {:>9}  {}",
            row.system,
            row.acknowledged,
            row.conflicts,
            row.errors,
            row.requests,
            row.recorded,
            right(row.balance_is_right)
        );
    }
    println!(
        "\nDeposits, errors and balances must be right on every machine; conflicts and requests are a matter of timing."
    );
}

fn table(rows: &[deposits::Row]) {
    let [floor, ..] = rows else { return };
    println!("after {} events", floor.past_events);
    println!(
        "{:<40} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7} {:>10}  balance",
        "system", "requests", "read u.", "write u.", "$/M", "sent B", "received", "median", "p99", "throughput"
    );
    for row in rows {
        if let Some(fails) = &row.fails {
            println!("{:<40} {fails}", row.system);
            continue;
        }
        #[allow(clippy::cast_precision_loss, reason = "microseconds")]
        let times = |this: u64, floor: u64| this as f64 / floor as f64;
        println!(
            "{:<40} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8.0} {:>9.0} {:>6.1}x {:>6.1}x {:>9.2}x  {}",
            row.system,
            row.requests,
            row.read_units,
            row.write_units,
            row.read_units * READ_UNIT + row.write_units * WRITE_UNIT,
            row.bytes_sent,
            row.bytes_received,
            times(row.median_us, floor.median_us),
            times(row.p99_us, floor.p99_us),
            floor.mean_us / row.mean_us,
            right(row.balance_is_right)
        );
    }
    println!();
}

fn right(balance: bool) -> &'static str {
    if balance { "right" } else { "WRONG" }
}
