"""The style of an exported notebook; colours have a contrast of 4.5 and more in light and dark."""

from __future__ import annotations

STYLE = """:root{--soft2:#5c6066;--panel:#f5f5f6;--line:#d4d4d8;--link:#0b57b0;--word:#0a6423;--text:#9c1f1f;
--num:#1a56b0}
@media(prefers-color-scheme:dark){:root{--soft2:#a9adb3;--panel:#1c1c1f;--line:#3f3f46;--link:#82b7ff;--word:#7ee787;
--text:#ffa198;--num:#8cc3ff}}
a{color:var(--link)}
.prose{max-width:75ch}
.cell{margin:18px 0}
.count,.note{color:var(--soft2);font-size:12px}
.note{margin:4px 0}
footer.note{margin:40px 0 0;border-top:1px solid var(--line);padding-top:8px}
pre,code,.count{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px}
pre{overflow:auto;margin:4px 0;padding:8px 10px;border-radius:4px}
.rich pre,.code{background:var(--panel)}
.prose code{overflow-wrap:anywhere}
.stdout,.stderr{max-height:480px;padding:4px 10px}
.stderr{border-left:3px solid var(--text)}
.output{margin:6px 0}
.rich{overflow-x:auto}
.output img,.prose img{max-width:100%}
.output>img{background:#fff}
.rich table{border-collapse:collapse;margin:8px 0}
.rich th,.rich td{border-bottom:1px solid var(--line);padding:3px 10px;text-align:left}
blockquote{margin:8px 0;padding-left:12px;border-left:3px solid var(--line)}
summary{cursor:pointer}
.code [class^=k],.code .ow{color:var(--word)}
.code [class^=s]{color:var(--text)}
.code [class^=m],.code .nf,.code .nc,.code .nd{color:var(--num)}
.code [class^=c]{color:var(--soft2)}"""
