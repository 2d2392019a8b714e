//! [`Row`]: a line of the table, and its form in the file.

use crate::Figure;
use std::fmt::Write;

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// How the server was reached.
    pub way: String,
    /// What was asked.
    pub name: String,
    /// The unit of `rate`.
    pub unit: &'static str,
    /// How often, or how fast.
    pub rate: f64,
    /// Bytes of one answer.
    pub bytes: Figure,
    /// The most bytes of heap at a time for one request.
    pub peak: Figure,
    /// Blocks of heap for one request.
    pub allocations: Figure,
}

/// The rows for people.
pub fn table(rows: &[Row]) -> String {
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).len()).max().unwrap_or(0);
    let (ways, names) = (width(|row| &row.way), width(|row| &row.name));
    let mut text = format!(
        "{:ways$}  {:names$}  {:>12}       {:>12}  {:>10}  {:>8}\n",
        "way", "what", "rate", "answer, B", "heap, B", "blocks"
    );
    for row in rows {
        let figure =
            |figure: Figure| figure.map_or_else(String::new, |value| format!("{value:.0}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:ways$}  {:names$}  {:12.1} {:4}  {:>12}  {:>10}  {:>8}",
            row.way,
            row.name,
            row.rate,
            row.unit,
            figure(row.bytes),
            figure(row.peak),
            figure(row.allocations)
        );
    }
    text
}

/// The rows for programs, behind those of the file `before` that are of other ways.
pub fn json(before: &str, rows: &[Row]) -> String {
    let mut lines: Vec<String> = before
        .lines()
        .filter(|line| line.starts_with("{\"way\""))
        .filter(|line| !rows.iter().any(|row| line.starts_with(&way(row))))
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    lines.extend(rows.iter().map(|row| {
        let figure = |name, figure: Figure| {
            figure.map_or_else(String::new, |value| format!(",\"{name}\":{value:.0}"))
        };
        format!(
            "{},\"name\":\"{}\",\"unit\":\"{}\",\"rate\":{:.3}{}{}{}}}",
            way(row),
            row.name,
            row.unit,
            row.rate,
            figure("answer_bytes", row.bytes),
            figure("heap_peak_bytes", row.peak),
            figure("allocations", row.allocations)
        )
    }));
    format!("{{\"rows\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn way(row: &Row) -> String {
    format!("{{\"way\":\"{}\"", row.way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_ways_stay_in_the_file() {
        let first = [
            crate::rate("a", "x", "/s", 1.0),
            crate::rate("b", "y", "/s", 2.0),
        ];
        let file = json("", &first);
        assert_eq!(file.lines().count(), 4);
        let file = json(&file, &[crate::rate("b", "y", "/s", 3.0)]);
        assert_eq!(
            file,
            "{\"rows\":[\n{\"way\":\"a\",\"name\":\"x\",\"unit\":\"/s\",\"rate\":1.000},\n\
             {\"way\":\"b\",\"name\":\"y\",\"unit\":\"/s\",\"rate\":3.000}\n]}\n"
        );
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let text = table(&[crate::rate("a", "x", "/s", 1.0)]);
        assert_eq!(text.lines().count(), 2);
    }
}
