//! Colours that a state recommends (PS3.3 C.10.7.1.1).

use super::Colour;

/// The white of the profile connection space, D50.
const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];
/// From XYZ under D50 to linear sRGB, adapted after Bradford.
const TO_RGB: [[f64; 3]; 3] = [
    [3.133_856_1, -1.616_866_7, -0.490_614_6],
    [-0.978_768_4, 1.916_141_5, 0.033_454_0],
    [0.071_945_3, -0.228_991_4, 1.405_242_7],
];

/// L*, a* and b* in 16 bits each as sRGB.
pub(super) fn to_srgb([l, a, b]: [u16; 3]) -> Colour {
    let lightness = f64::from(l) * 100.0 / 65_535.0;
    // 8080H is 0 (C.10.7.1.1).
    let [a, b] = [a, b].map(|value| f64::from(value) / 257.0 - 128.0);
    let y = (lightness + 16.0) / 116.0;
    let linear = |t: f64| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            3.0 * (6.0f64 / 29.0).powi(2) * (t - 4.0 / 29.0)
        }
    };
    let xyz = [
        WHITE[0] * linear(y + a / 500.0),
        WHITE[1] * linear(y),
        WHITE[2] * linear(y - b / 200.0),
    ];
    TO_RGB.map(|row| {
        let light: f64 = row
            .iter()
            .zip(xyz)
            .map(|(factor, value)| factor * value)
            .sum();
        let coded = if light <= 0.003_130_8 {
            light * 12.92
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        };
        (coded.clamp(0.0, 1.0) * 255.0).round() as u8
    })
}

/// A P-Value of 16 bits.
pub(super) fn of_p_value(value: u16) -> Colour {
    [((u32::from(value) * 255 + 32_767) / 65_535) as u8; 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_becomes_srgb() {
        assert_eq!(to_srgb([0xffff, 0x8080, 0x8080]), [255, 255, 255]);
        assert_eq!(to_srgb([0, 0x8080, 0x8080]), [0, 0, 0]);
        // L* 54.29, a* 80.81, b* 69.89: the red of sRGB under D50.
        let red = [
            54.29 * 655.35,
            (80.81 + 128.0) * 257.0,
            (69.89 + 128.0) * 257.0,
        ];
        assert_eq!(to_srgb(red.map(|value: f64| value as u16)), [255, 0, 0]);
    }

    #[test]
    fn p_values_become_levels() {
        let levels = [0, 0x8000, 0xffff].map(|value| of_p_value(value)[0]);
        assert_eq!(levels, [0, 128, 255]);
    }
}
