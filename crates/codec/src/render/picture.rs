//! A picture in memory.

/// Pixels of eight bits a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: u32,
    pub height: u32,
    pub pixels: Pixels,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pixels {
    Grey(Vec<u8>),
    Rgb(Vec<u8>),
}

impl Picture {
    /// Samples of a pixel.
    pub fn samples(&self) -> usize {
        match self.pixels {
            Pixels::Grey(_) => 1,
            Pixels::Rgb(_) => 3,
        }
    }

    /// All samples.
    pub fn bytes(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Grey(bytes) | Pixels::Rgb(bytes) => bytes,
        }
    }

    /// All samples.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.pixels {
            Pixels::Grey(bytes) | Pixels::Rgb(bytes) => bytes,
        }
    }

    /// The same kind of picture with other pixels.
    pub fn with(&self, width: u32, height: u32, bytes: Vec<u8>) -> Self {
        let pixels = match self.pixels {
            Pixels::Grey(_) => Pixels::Grey(bytes),
            Pixels::Rgb(_) => Pixels::Rgb(bytes),
        };
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Sets a pixel to a grey level; outside nothing happens.
    pub fn put(&mut self, x: i64, y: i64, level: u8) {
        self.paint(x, y, [level; 3]);
    }

    /// Sets a pixel to a colour, of which a grey picture takes the first sample; outside nothing
    /// happens.
    pub fn paint(&mut self, x: i64, y: i64, colour: [u8; 3]) {
        let (width, height, samples) = (
            i64::from(self.width),
            i64::from(self.height),
            self.samples(),
        );
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let start = (y * width + x) as usize * samples;
            if let Some(pixel) = self.bytes_mut().get_mut(start..start + samples) {
                pixel.copy_from_slice(&colour[..samples]);
            }
        }
    }
}
