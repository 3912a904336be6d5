pragma Singleton

import QtQuick

// Every colour, size and duration. Light or dark follows the system's palette.
QtObject {
    id: theme

    readonly property SystemPalette system: SystemPalette {}
    property int shade: 0            // Look.Shade, chosen by the person
    property int textPercent: 100
    readonly property bool dark: shade === 0 ? system.window.hslLightness < 0.5 : shade === 2

    readonly property color window: dark ? "#1b1c1e" : "#f4f2ee"
    readonly property color pane: dark ? "#202225" : "#faf9f6"
    readonly property color paper: dark ? "#26282c" : "#ffffff"
    readonly property color desk: dark ? "#17181a" : "#e9e6e0"
    readonly property color text: dark ? "#e8e6e1" : "#21252b"
    readonly property color muted: dark ? "#a2a5ab" : "#5f656e"
    readonly property color raised: dark ? "#2e3136" : "#ffffff"   // what lies over all of these
    readonly property color line: dark ? "#3a3d43" : "#e2ded6"     // between things
    readonly property color edge: dark ? "#565b63" : "#c6c0b5"     // around what is written in, and what is raised
    readonly property color hover: dark ? "#363a40" : "#efece6"
    readonly property color accent: dark ? "#8db6de" : "#2c5a8c"
    readonly property color accentText: dark ? "#15202b" : "#ffffff"
    readonly property color soft: dark ? "#2b3642" : "#e9eff6"
    readonly property color code: dark ? "#1d1f22" : "#f5f3ef"
    readonly property color mark: "#66f5c518"   // over a page, which is paper white in the dark too
    readonly property color chosen: "#553b82d0"
    readonly property color found: "#c58a00"
    readonly property color device: dark ? "#5fa3ea" : "#1f66b3"   // where KV is: told apart by lightness, too
    readonly property color host: dark ? "#e3ad4f" : "#d9962b"
    readonly property color arrived: dark ? "#7fe0a4" : "#12924f"   // from disk, a moment ago
    readonly property color disk: dark ? "#85898f" : "#a3a6ab"
    readonly property color warning: dark ? "#3a2a26" : "#fbeeea"
    readonly property color warningText: dark ? "#f0b8a8" : "#86341f"

    // A person's own font size, but never below what reads well.
    readonly property TextMetrics own: TextMetrics {}
    readonly property int base: Math.round(Math.max(14, theme.own.font.pixelSize) * textPercent / 100)
    readonly property int small: Math.round(base * 0.86)
    readonly property int large: Math.round(base * 1.14)
    readonly property int title: Math.round(base * 1.6)

    readonly property int gap: 8
    readonly property int pad: 16
    readonly property int radius: 8
    readonly property int barHeight: Math.max(52, base * 3.2)
    readonly property int readable: 720   // widest line of an answer
    readonly property int quick: 120      // ms

    // Rich text of an answer: the engine's own few tags, dressed here.
    function styled(html: string): string {
        const link = `<a style="color:${theme.accent};text-decoration:none" `;
        const mono = `<span style="font-family:monospace;background-color:${theme.code}">`;
        const dressed = html.replace(/<a /g, link).replace(/<code>/g, mono).replace(/<\/code>/g, "</span>");
        const spaced = dressed.replace(/<(p|li)>/g, `<$1 style="line-height:138%;margin-top:2px;margin-bottom:2px">`);
        return `<div style="line-height:138%">${spaced}</div>`;
    }
}
