//! Log lines on stderr, with the ids of the trace they belong to.
//!
//! Both formats are the stock ones of `tracing-subscriber`. The ids are added around them: as the first
//! keys of a JSON object, or at the end of a line for people.

use std::fmt;
use std::io::{self, IsTerminal};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::{self as lines, FmtContext};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;

/// The layer that writes log lines.
pub(super) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    match format {
        LogFormat::Human => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let stock = lines::format().with_ansi(colours);
            let fields = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                // Instructions for the bridge say nothing to a reader.
                name if name.starts_with("otel.") => Ok(()),
                name => write!(writer, " {name}={value:?}"),
            });
            lines::layer()
                .with_writer(io::stderr)
                .with_ansi(colours)
                .fmt_fields(fields)
                .event_format(Traced { stock, format })
                .boxed()
        }
        LogFormat::Json => {
            let stock = lines::format().json().flatten_event(true).with_span_list(false);
            lines::layer().json().with_writer(io::stderr).event_format(Traced { stock, format }).boxed()
        }
    }
}

/// A stock format with the ids of the trace added.
struct Traced<F> {
    stock: F,
    format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some((trace, span)) = current_ids() else {
            return self.stock.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.stock.format_event(context, Writer::new(&mut line), event)?;
        match (self.format, line.strip_prefix('{')) {
            (LogFormat::Json, Some(rest)) => {
                write!(writer, r#"{{"trace_id":"{trace}","span_id":"{span}",{rest}"#)
            }
            _ => writeln!(writer, "{} trace_id={trace}", line.trim_end()),
        }
    }
}

/// Read from the OpenTelemetry context and not from the `tracing` span, because a strict log filter
/// hides spans from the log layer.
fn current_ids() -> Option<(opentelemetry::TraceId, opentelemetry::SpanId)> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id(), ids.span_id()))
    })
}
