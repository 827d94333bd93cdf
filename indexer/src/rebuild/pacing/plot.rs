//! A plot of a day as SVG: the rate of a backfill above, the answers of the gateway below, the windows behind both.
//!
//! Colours are of middle lightness and nothing is painted behind them, so that it can be read on light and dark pages.

use std::fmt::Write;

use super::day::Minute;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 840.0;
const HEIGHT: f64 = 430.0;

/// Minutes that one point of a line is the mean of.
const STEP: usize = 5;

const TEXT: &str = "#7d8590";
const RATE: &str = "#3b82f6";
const LATENCY: &str = "#e8710a";
const LIMIT: &str = "#d1345b";

/// A part of the picture with its own scale.
struct Panel<'t> {
    title: &'t str,
    top: f64,
    bottom: f64,
    most: f64,
    step: f64,
}

/// Draws the minutes of a day.
pub(super) fn svg(minutes: &[Minute], limit_ms: f64, is_open: impl Fn(f64) -> bool) -> String {
    let most = |of: fn(&Minute) -> f64| minutes.iter().map(of).fold(0.0, f64::max);
    let round = |most: f64, step: f64| (most / step).ceil() * step;
    let top = Panel {
        title: "backfill, documents a second",
        top: 54.0,
        bottom: 204.0,
        most: round(most(|minute| minute.rate), 5.0),
        step: 5.0,
    };
    let bottom = Panel {
        title: "gateway, p95 of all answers in ms",
        top: 244.0,
        bottom: 394.0,
        most: round(most(|minute| minute.p95_ms), 500.0),
        step: 500.0,
    };
    let first = minutes.first().map_or(0.0, |minute| minute.hour);
    let x = |hour: f64| LEFT + (hour - first) / 24.0 * (RIGHT - LEFT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{TEXT}\">\n\
         <title>A backfill through a day: its rate, and how long the gateway takes</title>\n"
    );
    for panel in [&top, &bottom] {
        shade(&mut svg, panel, minutes, x, &is_open);
        frame(&mut svg, panel, first, x);
    }
    line(&mut svg, &top, RATE, minutes, x, |minute| minute.rate);
    line(&mut svg, &bottom, LATENCY, minutes, x, |minute| minute.p95_ms);
    let at = bottom.y(limit_ms);
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"{LIMIT}\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"/>"
    );
    legend(&mut svg, limit_ms);
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">time of day, UTC</text>\n</svg>",
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 4.0
    );
    svg
}

impl Panel<'_> {
    fn y(&self, value: f64) -> f64 {
        self.bottom - value / self.most * (self.bottom - self.top)
    }
}

/// The windows, as stripes.
fn shade(
    svg: &mut String,
    panel: &Panel<'_>,
    minutes: &[Minute],
    x: impl Fn(f64) -> f64,
    is_open: impl Fn(f64) -> bool,
) {
    let mut from = None;
    let end = minutes.last().map_or(0.0, |minute| minute.hour + 1.0 / 60.0);
    for hour in minutes.iter().map(|minute| minute.hour).chain([end]) {
        let open = is_open(hour) && hour < end;
        match (from, open) {
            (None, true) => from = Some(hour),
            (Some(begin), false) => {
                let (left, width) = (x(begin), x(hour) - x(begin));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{RATE}\" opacity=\"0.12\"/>",
                    panel.top,
                    panel.bottom - panel.top
                );
                from = None;
            }
            _ => {}
        }
    }
}

/// The axes, with what they count.
fn frame(svg: &mut String, panel: &Panel<'_>, first: f64, x: impl Fn(f64) -> f64) {
    let Panel { title, top, bottom, most, step } = panel;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>", top - 8.0);
    let mut value = 0.0;
    while value <= *most {
        let at = panel.y(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"{TEXT}\" opacity=\"0.3\"/>\n\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 8.0,
            at + 4.0
        );
        value += step;
    }
    for hours in (0..=24_u8).step_by(3) {
        let at = x(first + f64::from(hours));
        let clock = (first + f64::from(hours)) % 24.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{:.0}\" stroke=\"{TEXT}\"/>\n\
             <text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{clock:02.0}:00</text>",
            bottom + 4.0,
            bottom + 17.0
        );
    }
}

fn line(
    svg: &mut String,
    panel: &Panel<'_>,
    colour: &str,
    minutes: &[Minute],
    x: impl Fn(f64) -> f64,
    of: impl Fn(&Minute) -> f64,
) {
    let points: Vec<String> = minutes
        .chunks(STEP)
        .map(|some| {
            let mean = some.iter().map(&of).sum::<f64>() / f64::from(u8::try_from(some.len()).unwrap_or(1));
            format!("{:.1},{:.1}", x(some[0].hour), panel.y(mean))
        })
        .collect();
    let points = points.join(" ");
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>"
    );
}

fn legend(svg: &mut String, limit_ms: f64) {
    let entries = [
        (
            LEFT,
            format!(
                "<rect x=\"{LEFT}\" y=\"10\" width=\"18\" height=\"12\" fill=\"{RATE}\" opacity=\"0.25\"/>"
            ),
            "window of the backfill".to_owned(),
        ),
        (LEFT + 180.0, stroke(LEFT + 180.0, RATE, ""), "its rate".to_owned()),
        (LEFT + 280.0, stroke(LEFT + 280.0, LATENCY, ""), "p95 of the gateway".to_owned()),
        (
            LEFT + 440.0,
            stroke(LEFT + 440.0, LIMIT, " stroke-dasharray=\"6 4\""),
            format!("back_off_when: p95_latency: {limit_ms} ms"),
        ),
    ];
    for (at, sign, text) in entries {
        let _ = writeln!(svg, "{sign}<text x=\"{:.0}\" y=\"20\">{text}</text>", at + 26.0);
    }
}

fn stroke(at: f64, colour: &str, more: &str) -> String {
    format!(
        "<line x1=\"{at}\" y1=\"16\" x2=\"{}\" y2=\"16\" stroke=\"{colour}\" stroke-width=\"2\"{more}/>",
        at + 18.0
    )
}
