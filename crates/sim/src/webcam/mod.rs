//! The webcam: frames are drawn once per tick, only while somebody watches, and shared by all viewers.
//! `http` serves them, `scene` composes them, `part` grows the printed part, `raster` and `font` draw.

pub(crate) mod canvas;
mod font;
mod http;
mod part;
mod scene;
mod view;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::App;
use crate::config::WebcamConfig;
use scene::{Moment, Scene};

pub(crate) use http::routes;

/// One picture, as all viewers share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    pub(crate) jpeg: Bytes,
    /// The same as a part of a multipart stream, boundary included.
    pub(crate) part: Bytes,
}

#[derive(Debug)]
pub(crate) struct Camera {
    config: WebcamConfig,
    frames: watch::Sender<Frame>,
    viewers: watch::Sender<usize>,
}

/// Somebody watches for as long as this lives.
#[derive(Debug)]
pub(crate) struct Viewer {
    app: App,
}

impl Camera {
    pub(crate) fn new(config: WebcamConfig) -> Self {
        Self {
            config,
            frames: watch::Sender::default(),
            viewers: watch::Sender::new(0),
        }
    }

    pub(crate) fn viewers(&self) -> usize {
        *self.viewers.borrow()
    }

    /// Draws while somebody watches, until shutdown.
    pub(crate) async fn run(&self, app: &App) {
        let mut viewers = self.viewers.subscribe();
        let mut scene = Scene::new(self.config);
        loop {
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                watched = viewers.wait_for(|count| *count > 0) => if watched.is_err() { return },
            }
            let mut ticks = interval(Duration::from_secs_f64(1.0 / self.config.fps));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.viewers() > 0 && !app.shutdown.is_cancelled() {
                ticks.tick().await;
                let moment = scene.look(app);
                let drawn = tokio::task::spawn_blocking(move || {
                    let frame = Frame::new(scene.draw(&moment));
                    (scene, frame)
                });
                let Ok((returned, frame)) = drawn.await else {
                    // Only a defect in the drawing gets here; begin with an empty picture.
                    tracing::error!("the camera picture could not be drawn");
                    scene = Scene::new(self.config);
                    break;
                };
                scene = returned;
                self.frames.send_replace(frame);
            }
        }
    }
}

impl Frame {
    fn new(jpeg: Vec<u8>) -> Self {
        let now = Timestamp::now();
        let head = format!(
            "--{}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nX-Timestamp: {}.{:06}\r\n\r\n",
            http::BOUNDARY,
            jpeg.len(),
            now.as_second(),
            now.subsec_microsecond(),
        );
        let mut part = BytesMut::with_capacity(head.len() + jpeg.len() + 2);
        part.extend_from_slice(head.as_bytes());
        part.extend_from_slice(&jpeg);
        part.extend_from_slice(b"\r\n");
        Self {
            jpeg: jpeg.into(),
            part: part.freeze(),
        }
    }
}

impl Viewer {
    fn new(app: &App) -> Self {
        app.camera.viewers.send_modify(|count| *count += 1);
        Self { app: app.clone() }
    }

    /// Pictures drawn from now on.
    fn frames(&self) -> watch::Receiver<Frame> {
        let mut frames = self.app.camera.frames.subscribe();
        frames.mark_unchanged();
        frames
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.app
            .camera
            .viewers
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Date and time as a camera stamps them, in the machine's own zone.
fn stamp() -> String {
    Timestamp::now()
        .to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

impl Scene {
    /// Takes from the printer what the next picture shows; the machine is locked only for this.
    fn look(&self, app: &App) -> Moment {
        let (generation, drawn) = self.drawn();
        app.printer.with(|machine| {
            let fresh = machine.trace.generation() == generation;
            // The last piece may have grown since it was drawn.
            let from = if fresh { drawn.saturating_sub(1) } else { 0 };
            Moment {
                glance: machine.glance(),
                generation: machine.trace.generation(),
                from,
                pieces: machine.trace.since(from).to_vec(),
                stamp: stamp(),
            }
        })
    }
}
