"""What the report says around the data, in English and Thai, and how it writes dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

LANGUAGES = ("en", "th")
_BUDDHIST_YEARS = 543
_THAILAND = timezone(timedelta(hours=7))

_ENGLISH = {
    "title": "Asset inventory",
    "total": "{shown} of {all} assets",
    "probability_from": "probability from",
    "counts": "Counts by class and kilometre",
    "notes": "What was used and what was dropped",
    "more": "Show more rows",
    "all": "all",
    "kilometre": "km",
    "stretches": "Surveyed stretches",
    "unlocated": "Seen without a position",
    "not_static": "Not static: moves along the road",
    "rejected": "Rejected by reviewers",
    "not_applied": "Decisions that are not applied",
}
_THAI = {
    "title": "บัญชีทรัพย์สินทาง",
    "total": "{shown} จาก {all} รายการ",
    "probability_from": "ความน่าจะเป็นตั้งแต่",
    "counts": "จำนวนตามประเภทและกิโลเมตร",
    "notes": "ข้อมูลที่ใช้และข้อมูลที่ตัดออก",
    "more": "แสดงเพิ่ม",
    "all": "ทั้งหมด",
    "kilometre": "กม.",
    "stretches": "ช่วงที่สำรวจแล้ว",
    "unlocated": "พบแต่ไม่ทราบตำแหน่ง",
    "not_static": "วัตถุเคลื่อนที่ ไม่นับเป็นทรัพย์สิน",
    "rejected": "รายการที่ผู้ตรวจสอบตัดออก",
    "not_applied": "ผลการตรวจสอบที่ไม่ได้นำมาใช้",
}
_THAI_COLUMNS = {
    "asset_id": "รหัสทรัพย์สิน",
    "class": "ประเภท",
    "probability": "ความน่าจะเป็น",
    "sigma_along_m": "ค่าเบี่ยงเบนตามทาง (ม.)",
    "sigma_across_m": "ค่าเบี่ยงเบนขวางทาง (ม.)",
    "observations": "จำนวนภาพที่พบ",
    "passes": "จำนวนเที่ยว",
    "first_seen": "พบครั้งแรก (พ.ศ.)",
    "last_seen": "พบครั้งสุดท้าย (พ.ศ.)",
    "route": "ทางหลวง",
    "chainage": "กม.",
    "carriageway": "ทิศทางการจราจร",
    "chainage_also": "กม. ของตอนอื่น",
    "chainage_m": "ระยะ กม. (ม.)",
    "track_m": "ระยะทางที่วิ่ง (ม.)",
    "offset_m": "ระยะห่างจากแนวทาง (ม.)",
    "side": "ด้าน",
    "height_m": "ความสูง (ม.)",
    "width_m": "ความกว้าง (ม.)",
    "length_m": "ความยาว (ม.)",
    "ends_seen": "ปลายที่เห็น",
    "facing_deg": "ทิศที่หันหน้า (องศา)",
    "source": "ไฟล์",
    "best_frame": "เฟรมที่เห็นชัดที่สุด",
    "class_votes": "คะแนนของแต่ละประเภท",
    "reviewed_by": "ผู้ตรวจสอบ",
    "decisions": "ผลการตรวจสอบ",
    "thumbnail": "ภาพ",
    "geometry_kind": "ชนิดรูปทรง",
    "reason": "เหตุที่ไม่ได้นำมาใช้",
    "action": "การตัดสิน",
    "who": "ผู้ตัดสิน",
    "when": "เวลาที่ตัดสิน (UTC)",
    "why": "เหตุผล",
    "frame": "เฟรม",
    "decision": "รหัสผลการตรวจสอบ",
    "read_from": "อ่านจาก",
    "drive": "เที่ยวสำรวจ",
    "frames": "จำนวนเฟรม",
    "track_from_m": "จากระยะ (ม.)",
    "track_to_m": "ถึงระยะ (ม.)",
    "page": "หน้า",
    "assets": "จำนวนรายการ",
    "chainage_from": "จาก กม.",
    "chainage_to": "ถึง กม.",
    "hfov_deg": "มุมมองแนวนอน (องศา)",
    "yaw_deg": "มุมหันของกล้อง (องศา)",
    "range_m": "ระยะมองเห็น (ม.)",
    "first_frame": "เฟรมแรก",
    "last_frame": "เฟรมสุดท้าย",
    "confidence": "ความเชื่อมั่น",
    "speed_kmh": "ความเร็วตามทาง (กม./ชม.)",
    "travelled_m": "ระยะทางที่วิ่งขณะเห็น (ม.)",
    "box_px": "กรอบ (พิกเซล)",
    "last_longitude": "ลองจิจูดสุดท้ายที่ทราบ",
    "last_latitude": "ละติจูดสุดท้ายที่ทราบ",
}
_THAI_SIDES = {"left": "ซ้าย", "right": "ขวา", "median": "เกาะกลาง", "over": "คร่อมทาง"}


def labels(language: str) -> dict[str, str]:
    """Return the words of a page by their use.

    Example:
        >>> labels("en")["title"]
        'Asset inventory'
    """
    return _THAI if language == "th" else _ENGLISH


def column_labels(language: str) -> dict[str, str]:
    """Return what columns are called; those without an entry keep their names."""
    return _THAI_COLUMNS if language == "th" else {}


def shown_side(side: str | None, language: str) -> str | None:
    """Return a side as the page calls it."""
    return _THAI_SIDES.get(side, side) if side and language == "th" else side


def shown_date(time_s: float, language: str) -> str:
    """Return a POSIX time: UTC, or for Thai the time of Thailand with the year of the Buddhist era.

    Example:
        >>> shown_date(1714532400.0, "en"), shown_date(1714532400.0, "th")
        ('2024-05-01 03:00:00 UTC', '2567-05-01 10:00:00')
    """
    if language != "th":
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    local = datetime.fromtimestamp(time_s, _THAILAND)
    return f"{local.year + _BUDDHIST_YEARS}{local.strftime('-%m-%d %H:%M:%S')}"
