//! The comparison, as a table in Markdown.

use crate::subject::{Count, Subject, Time};

/// The number of runs, of which the table has the medians.
const RUNS: usize = 9;

/// The results of one subject.
#[derive(Default)]
struct Row {
    counts: Vec<Count>,
    times: Vec<Time>,
    slow: Vec<f64>,
}

/// Runs the subjects in turns and prints the medians, each with its ratio to the first subject's.
pub async fn print(subjects: &[Subject]) {
    let rows = rows(subjects).await;
    println!(
        "| | {} |",
        subjects.iter().map(|subject| subject.name).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|{}", "--:|".repeat(subjects.len()));
    print_counts(&rows);
    print_times(&rows);
    let sizes: Vec<(f64, f64)> = subjects
        .iter()
        .map(|subject| (number(subject.bytes()), number(subject.zipped())))
        .collect();
    line("binary, MB", &sizes, 1e6, |sizes| Some(sizes.0).filter(|bytes| *bytes > 0.0));
    line("package, zipped, MB", &sizes, 1e6, |sizes| Some(sizes.1));
    line("calls to AWS IoT", &rows, 1.0, timed(|time| number(time.calls)));
    line("connections", &rows, 1.0, timed(|time| number(time.connections)));
}

async fn rows(subjects: &[Subject]) -> Vec<Row> {
    let mut rows: Vec<Row> = subjects.iter().map(|_| Row::default()).collect();
    for run in 1..=RUNS {
        eprintln!("run {run} of {RUNS}");
        for (subject, row) in subjects.iter().zip(&mut rows) {
            // Counts hardly vary, and callgrind is slow.
            if run <= 3 {
                row.counts.push(subject.count().await);
            }
            row.times.push(subject.time().await);
            row.slow.extend(subject.slow().await);
        }
    }
    rows
}

fn print_counts(rows: &[Row]) {
    let counted = |pick: fn(&Count) -> u64| {
        move |row: &Row| median(row.counts.iter().map(|count| number(pick(count))).collect())
    };
    line("instructions to the first `/next`, M", rows, 1e6, counted(|count| count.init));
    line("instructions of the first event, M", rows, 1e6, counted(|count| count.first));
    line("both together, M", rows, 1e6, counted(|count| count.init + count.first));
    line("instructions of a warm event, M", rows, 1e6, counted(|count| count.warm));
}

fn print_times(rows: &[Row]) {
    line("CPU to the first response, ms", rows, 1.0, timed(|time| time.cpu));
    line("wall to the first response, ms", rows, 1.0, timed(|time| time.wall));
    line("first event at the CPU of 128 MB, ms", rows, 1.0, |row| median(row.slow.clone()));
    line("peak memory, MiB", rows, 1024.0, timed(|time| number(time.peak)));
}

/// The median of one figure of the timed runs.
fn timed(pick: fn(&Time) -> f64) -> impl Fn(&Row) -> Option<f64> {
    move |row| median(row.times.iter().map(pick).collect())
}

fn line<R>(name: &str, rows: &[R], unit: f64, pick: impl Fn(&R) -> Option<f64>) {
    let first = rows.first().and_then(&pick);
    let cell = |row: &R| match (pick(row), first) {
        (Some(value), Some(first)) if first > 0.0 => {
            format!("{} ({}×)", shown(value / unit), shown(value / first))
        }
        (Some(value), _) => shown(value / unit),
        (None, _) => "–".to_owned(),
    };
    println!("| {name} | {} |", rows.iter().map(cell).collect::<Vec<_>>().join(" | "));
}

/// Formats a number with three digits, and a small whole number without decimals.
fn shown(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 && value < 10.0 => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "instructions and bytes, far below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::{median, shown};

    #[test]
    fn figures_have_three_digits_and_small_whole_numbers_none_after_the_point() {
        let figures = [2.0, 2.345, 23.45, 234.5].map(shown);
        assert_eq!(figures, ["2", "2.35", "23.4", "234"]);
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(Vec::new()), None);
    }
}
