//! A report for people: one page that needs nothing beside it, made of the same report that programs read.
//!
//! Plots are SVG in the page, drawn from `results.samples`; what the results say besides is a table.

use anyhow::{Context, Result};
use plotters::prelude::*;
use serde_json::Value;
use std::fmt::Write;

const SIZE: (u32, u32) = (860, 280);

const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(140, 86, 75),
];

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:56em;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:1em 0}td,th{text-align:left;padding:.15em 1.2em .15em 0;vertical-align:top}\
    td:last-child{font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}.wide{max-width:52em;overflow-x:auto;font-size:.85em}.bad{color:#b00}.good{color:#070}";

/// A plot: its title, the unit of its values, and its lines by key of a sample.
struct Plot {
    title: &'static str,
    unit: &'static str,
    lines: &'static [(&'static str, &'static str)],
}

const PLOTS: [Plot; 4] = [
    Plot {
        title: "Latency",
        unit: "µs",
        lines: &[("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9"), ("max_us", "max")],
    },
    Plot { title: "Throughput", unit: "a second", lines: &[("per_second", "counted")] },
    Plot {
        title: "Processor time",
        unit: "% of a core",
        lines: &[("server_cpu_percent", "server"), ("client_cpu_percent", "this tool")],
    },
    Plot { title: "Memory of the server", unit: "MiB", lines: &[("server_resident_mib", "resident")] },
];

/// The page of a report as [`crate::report::Report`] writes it.
pub fn page(report: &Value) -> Result<String> {
    let scenario = text(&report["scenario"]);
    let mut page =
        format!("<!doctype html><html lang=en><meta charset=utf-8><title>loadtest {scenario}</title>");
    write!(page, "<style>{STYLE}</style><h1>loadtest {scenario}</h1>")?;
    verdict(&mut page, report)?;
    for plot in &PLOTS {
        let samples = &report["results"]["samples"];
        let lines = plot.lines.iter().map(|(key, name)| ((*name).to_owned(), points(samples, key)));
        if let Some(svg) = draw(lines.collect(), "seconds", plot.unit)? {
            write!(page, "<h2>{}</h2>{svg}", plot.title)?;
        }
    }
    for curve in report["results"]["curves"].as_array().into_iter().flatten() {
        let lines = serde_json::from_value(curve["lines"].clone()).context("lines of a curve")?;
        if let Some(svg) = draw(lines, "orders a second", &text(&curve["unit"]))? {
            write!(page, "<h2>{}</h2>{svg}", text(&curve["title"]))?;
        }
    }
    let run = ["commit", "version", "seed", "elapsed_seconds", "started_us"];
    let run = run.map(|key| (key, &report[key]));
    table(&mut page, "Run", run.into_iter())?;
    for (title, key) in [("Results", "results"), ("Arguments", "arguments"), ("Machine", "machine")] {
        let fields = report[key].as_object().context("a part of the report is missing")?;
        table(&mut page, title, fields.iter().map(|(key, value)| (key.as_str(), value)))?;
    }
    page.push_str("</html>\n");
    Ok(page)
}

fn verdict(page: &mut String, report: &Value) -> Result<()> {
    if report["ok"] == true {
        page.push_str("<p class=good>no violations");
        return Ok(());
    }
    write!(page, "<p class=bad>{} violations, the first:<ul>", report["violation_count"])?;
    for violation in report["violations"].as_array().into_iter().flatten() {
        write!(page, "<li>{}", text(violation))?;
    }
    page.push_str("</ul>");
    Ok(())
}

/// Objects within are told by their path; what has a plot is left out.
fn table<'a>(
    page: &mut String,
    title: &str,
    fields: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Result<()> {
    write!(page, "<h2>{title}</h2><table>")?;
    for (key, value) in fields.filter(|(key, _)| !matches!(*key, "samples" | "curves")) {
        rows(page, key, value)?;
    }
    page.push_str("</table>");
    Ok(())
}

fn rows(page: &mut String, path: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(fields) => {
            fields.iter().try_for_each(|(key, value)| rows(page, &format!("{path}.{key}"), value))
        }
        Value::Null => Ok(()),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            Ok(write!(page, "<tr><td>{}<td>{number:.3}", escaped(path))?)
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            write!(page, "<tr><td colspan=2>{}<div class=wide>", escaped(path))?;
            list(page, items)?;
            page.push_str("</div>");
            Ok(())
        }
        value => Ok(write!(page, "<tr><td>{}<td>{}", escaped(path), text(value))?),
    }
}

/// Objects of one kind: a row for each, a column for each of what is told of the first.
fn list(page: &mut String, items: &[Value]) -> Result<()> {
    let rows: Vec<Vec<(String, String)>> = items.iter().map(|item| cells("", item)).collect();
    page.push_str("<table><tr>");
    for (key, _) in rows.first().into_iter().flatten() {
        write!(page, "<th>{key}")?;
    }
    for row in &rows {
        page.push_str("<tr>");
        for (_, cell) in row {
            write!(page, "<td>{cell}")?;
        }
    }
    page.push_str("</table>");
    Ok(())
}

/// What is in an object, by path; a null has an empty cell, so that columns stay columns.
fn cells(path: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().flat_map(|(key, value)| cells(&format!("{path}{dot}{key}"), value)).collect()
        }
        Value::Null => vec![(escaped(path), String::new())],
        Value::Number(number) if number.is_f64() => {
            vec![(escaped(path), format!("{:.3}", number.as_f64().unwrap_or_default()))]
        }
        value => vec![(escaped(path), text(value))],
    }
}

fn text(value: &Value) -> String {
    escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line by its name and points.
type Line = (String, Vec<(f64, f64)>);

/// None if nothing was measured.
fn draw(lines: Vec<Line>, x: &str, y: &str) -> Result<Option<String>> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (Some(end), Some(top)) =
        (all().map(|point| point.0).reduce(f64::max), all().map(|point| point.1).reduce(f64::max))
    else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(76)
            .build_cartesian_2d(0.0..end.max(1.0), 0.0..(top * 1.05).max(1e-9))?;
        let tall = |value: &f64| tall(*value);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(x)
            .y_desc(y)
            .x_label_formatter(&tall)
            .y_label_formatter(&tall)
            .draw()?;
        for ((name, points), color) in
            lines.into_iter().zip(COLORS.into_iter().cycle()).filter(|((_, points), _)| !points.is_empty())
        {
            let line = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
            line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
    }
    Ok(Some(svg))
}

/// A sample's time and value, where it has one.
fn points(samples: &Value, key: &str) -> Vec<(f64, f64)> {
    let samples = samples.as_array().into_iter().flatten();
    samples.filter_map(|sample| Some((sample["at_seconds"].as_f64()?, sample[key].as_f64()?))).collect()
}

/// Millions and thousands by their letters, and no more digits than a step between two labels has.
fn tall(value: f64) -> String {
    let value = (value * 1000.0).round() / 1000.0;
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(samples: Value) -> Value {
        json!({
            "scenario": "fanout", "ok": false, "violation_count": 1, "violations": ["a < b & c"], "seed": 7,
            "machine": {"cores": 2}, "arguments": {"html": null},
            "results": {"live": 3, "latency": {"p50_us": 1.25}, "samples": samples},
        })
    }

    #[test]
    fn a_page_has_plots_of_what_was_measured_and_names_what_was_wrong() {
        let samples = json!([
            {"at_seconds": 1.0, "per_second": 10.0, "p50_us": 5.0, "server_cpu_percent": null},
            {"at_seconds": 2.0, "per_second": 20.0, "p50_us": 6.0, "server_cpu_percent": null},
        ]);
        let page = page(&report(samples)).unwrap();
        assert_eq!(page.matches("<svg").count(), 2, "latency and throughput");
        assert!(page.contains("a &lt; b &amp; c") && page.contains("<td>latency.p50_us<td>1.250"));
        assert!(
            !page.contains("http://")
                || page.matches("http://").count() == page.matches("http://www.w3.org").count()
        );
    }

    #[test]
    fn what_is_a_list_becomes_a_table_and_a_curve_a_plot() {
        let mut report = report(Value::Null);
        report["results"]["rows"] = json!([{"a": 1, "b": {"c": 2.5}}, {"a": 3, "b": {"c": null}}]);
        report["results"]["curves"] =
            json!([{"title": "Delivered", "unit": "frames", "lines": [["ten", [[1.0, 2.0], [3.0, 4.0]]]]}]);
        let page = page(&report).unwrap();
        assert!(page.contains("<th>a<th>b.c<tr><td>1<td>2.500<tr><td>3<td></table>"), "{page}");
        assert!(page.contains("<h2>Delivered</h2><svg"));
    }

    #[test]
    fn a_run_without_samples_has_a_page_too() {
        assert!(!page(&report(json!([]))).unwrap().contains("<svg"));
        assert!(!page(&report(Value::Null)).unwrap().contains("<svg"));
    }
}
