"""What the synthetic shops sell: kinds of things, their names, qualities, colours and usual sizes."""

from dataclasses import dataclass

COLOURS = (
    *("Black", "White", "Silver", "Grey", "Red", "Blue", "Green", "Navy", "Charcoal", "Ivory"),
    *("Graphite", "Beige", "Burgundy", "Turquoise", "Orange", "Pink", "Purple", "Yellow", "Bronze", "Titanium"),
)
FLAVOURS = (
    *("Vanilla", "Lemon", "Strawberry", "Mint", "Cocoa", "Hazelnut", "Ginger", "Honey"),
    *("Raspberry", "Mango", "Coconut", "Cinnamon", "Almond", "Cherry", "Apple", "Peach"),
)
VARIANTS = (  # how makers write the colours at the end of model numbers
    *("BK", "WH", "SL", "GR", "RD", "BL", "GN", "NV", "CH", "IV"),
    *("GP", "BE", "BU", "TQ", "OR", "PK", "PU", "YE", "BZ", "TI"),
)

SIZES: dict[str, tuple[float, ...]] = {
    "memory": (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
    "speed": (800, 1066, 1333, 1600, 1866, 2133, 2400, 2666, 3000, 3200, 3600),
    "screen": (7, 8, 10.1, 11.6, 13.3, 14, 15.6, 17.3, 19, 21.5, 24, 27, 32, 40, 43, 50, 55, 65),
    "panel": (10.1, 11.6, 12.5, 13.3, 14, 14.1, 15.6, 16, 17, 17.3),
    "rate": (50, 60, 75, 90, 100, 120, 144, 165, 200, 240),
    "length": (5, 8, 10, 12.5, 15, 20, 25, 30, 45, 60, 75, 90, 120, 150, 180, 200, 300, 500),
    "weight": (50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 2500, 5000),
    "volume": (30, 50, 75, 100, 150, 200, 250, 330, 400, 500, 750, 1000, 1500, 1750, 2000, 5000),
    "power": (5, 9, 15, 25, 40, 60, 100, 150, 300, 450, 600, 750, 900, 1200, 1500, 1800, 2000, 2200, 2500),
    "battery": (800, 1200, 1500, 2000, 2200, 2500, 3000, 4000, 5000, 8000, 10000, 15000, 20000),
    "count": (2, 3, 4, 5, 6, 8, 10, 12, 20, 24, 25, 36, 48, 50, 100, 200),
}


@dataclass(frozen=True)
class Category:
    """Things of one kind: what they are called and praised for, which kinds of sizes they have, the cheapest price."""

    nouns: tuple[str, ...]
    qualities: tuple[str, ...]
    sizes: tuple[str, ...]
    coded: bool  # whether makers give such things model numbers
    shades: tuple[str, ...]
    cheapest: float


def _category(
    nouns: str, qualities: str, sizes: str, coded: bool, cheapest: float, shades: tuple[str, ...] = COLOURS
) -> Category:
    return Category(tuple(nouns.split("|")), tuple(qualities.split("|")), tuple(sizes.split()), coded, shades, cheapest)


CATEGORIES = (
    _category(
        "Laptop|Notebook|Ultrabook|Tablet|Netbook|2-in-1 Convertible Notebook",
        "Touchscreen|Backlit Keyboard|Full HD|Quad-Core|Fanless|Business|Gaming",
        "memory panel",
        True,
        240,
    ),
    _category(
        "LCD Monitor|LED Monitor|Curved Monitor|LCD Television|LED TV|Digital Photo Frame|Projection Screen",
        "Full HD|Widescreen|Wall-Mountable|Anti-Glare|Height-Adjustable|4K",
        "screen rate",
        True,
        90,
    ),
    _category(
        "USB Flash Drive|Memory Card|External Hard Drive|Solid State Drive|Memory Module|SDHC Card|MP3 Player",
        "High-Speed|Encrypted|Shockproof|Class 10|USB 3.0|Compact",
        "memory speed",
        True,
        8,
    ),
    _category(
        "Digital Camera|Camcorder|Action Camera|Camera Bag|Zoom Lens|Tripod|Camera Battery|Binoculars",
        "Waterproof|Optical Zoom|Image-Stabilised|Compact|Rechargeable|Carbon Fibre",
        "length battery",
        True,
        20,
    ),
    _category(
        "Headphones|In-Ear Headphones|Bookshelf Speaker|Soundbar|Subwoofer|"
        "AV Receiver|Turntable|Clock Radio|Microphone",
        "Wireless|Noise-Cancelling|Bluetooth|Two-Way|Portable|Remote Control|Foldable",
        "power length",
        True,
        15,
    ),
    _category(
        "Toner Cartridge|Ink Cartridge|Laser Printer|Inkjet Printer|Flatbed Scanner|"
        "Label Maker|Paper Shredder|Fax Machine",
        "High-Yield|Remanufactured|Duplex|Network|All-in-One|Photo",
        "count",
        True,
        12,
    ),
    _category(
        "Wireless Router|Network Switch|Access Point|Powerline Adapter|Cable Modem|Network Camera|USB Hub|KVM Switch",
        "Gigabit|Dual-Band|Managed|Rack-Mount|8-Port|16-Port|Outdoor",
        "count length",
        True,
        18,
    ),
    _category(
        "Phone Case|Phone Charger|Power Bank|Car Mount|Screen Protector|Charging Cable|Smartwatch|Cordless Phone",
        "Leather|Magnetic|Fast-Charging|Shock-Absorbing|Universal|Slim",
        "battery length",
        True,
        5,
    ),
    _category(
        "Microwave Oven|Dishwasher|Refrigerator|Washing Machine|Gas Range|Range Hood|"
        "Chest Freezer|Tumble Dryer|Wine Cooler",
        "Built-In|Stainless Steel|Energy-Saving|Countertop|Convection|Frost-Free|Quiet",
        "power length",
        True,
        160,
    ),
    _category(
        "Kettle|Toaster|Blender|Coffee Maker|Espresso Machine|Food Processor|Hand Mixer|Slow Cooker|Rice Cooker|Juicer",
        "Cordless|Stainless Steel|Programmable|Brushed Metal|BPA-Free|Non-Stick|Retro",
        "power volume",
        True,
        22,
    ),
    _category(
        "Vacuum Cleaner|Steam Iron|Air Purifier|Tower Fan|Space Heater|Humidifier|Dehumidifier|Steam Mop",
        "Bagless|Cordless|Oscillating|Low-Noise|HEPA|Programmable",
        "power volume",
        True,
        30,
    ),
    _category(
        "Cordless Drill|Circular Saw|Angle Grinder|Jigsaw|Rotary Hammer|Belt Sander|"
        "Heat Gun|Impact Driver|Air Compressor",
        "Brushless|Variable-Speed|Heavy-Duty|Compact|Lithium-Ion|Professional",
        "power battery",
        True,
        35,
    ),
    _category(
        "Socket Set|Screwdriver Set|Pipe Wrench|Claw Hammer|Tape Measure|Spirit Level|Utility Knife|Bolt Cutter|Clamp",
        "Chrome Vanadium|Insulated|Magnetic|Non-Slip|Ratcheting|Forged",
        "length count",
        True,
        6,
    ),
    _category(
        "Lawn Mower|Hedge Trimmer|Garden Hose|Pruning Shears|Leaf Blower|Wheelbarrow|Sprinkler|Pressure Washer",
        "Telescopic|Kink-Free|Self-Propelled|Electric|Lightweight|Rust-Proof",
        "length power",
        True,
        14,
    ),
    _category(
        "Brake Pads|Oil Filter|Wiper Blade|Car Battery|Floor Mats|Spark Plug|Headlight Bulb|Roof Box|Seat Cover",
        "Ceramic|All-Weather|Front|Rear|Universal Fit|Long-Life",
        "length power",
        True,
        7,
    ),
    _category(
        "Office Chair|Standing Desk|Bookcase|Filing Cabinet|Desk Lamp|Coat Rack|Bed Frame|Coffee Table|Wardrobe",
        "Adjustable|Solid Oak|Ergonomic|Foldable|Mesh|Lockable|Upholstered",
        "length",
        False,
        45,
    ),
    _category(
        "Ballpoint Pens|Spiral Notebook|Sticky Notes|Binder Clips|Copy Paper|"
        "Permanent Markers|Shipping Labels|Envelopes",
        "Recycled|College-Ruled|Self-Adhesive|Assorted|Fine-Tip|Heavyweight",
        "count length",
        False,
        2,
    ),
    _category(
        "Mountain Bike|Bike Helmet|Yoga Mat|Dumbbell|Running Shoes|Tennis Racket|"
        "Camping Tent|Sleeping Bag|Hiking Backpack",
        "Ultralight|Waterproof|Breathable|Junior|Non-Slip|Reflective",
        "length weight",
        False,
        16,
    ),
    _category(
        "Olive Oil|Apple Juice|Mineral Water|Balsamic Vinegar|Maple Syrup|Soy Sauce|Iced Tea|Energy Drink",
        "Organic|Cold-Pressed|Sugar-Free|Unfiltered|Sparkling|Reduced-Salt",
        "volume count",
        False,
        1.5,
        FLAVOURS,
    ),
    _category(
        "Dark Chocolate|Ground Coffee|Breakfast Cereal|Rice Crackers|Green Tea|"
        "Oat Biscuits|Trail Mix|Pasta|Protein Powder",
        "Organic|Fair Trade|Gluten-Free|Whole-Grain|Decaffeinated|Roasted",
        "weight count",
        False,
        1.8,
        FLAVOURS,
    ),
    _category(
        "Shampoo|Body Lotion|Hand Soap|Toothpaste|Shower Gel|Sunscreen|Face Cream|Lip Balm|Hair Conditioner",
        "Moisturising|Fragrance-Free|Sensitive|Herbal|Anti-Dandruff|Vegan",
        "volume count",
        False,
        2.5,
        FLAVOURS,
    ),
    _category(
        "Dog Food|Cat Litter|Bird Seed|Dog Treats|Fish Flakes|Rabbit Pellets|Puppy Milk",
        "Grain-Free|Senior|Natural|Clumping|Adult|Sensitive",
        "weight count",
        False,
        3,
        FLAVOURS,
    ),
    _category(
        "Building Blocks|Jigsaw Puzzle|Board Game|Toy Train|Plush Bear|Remote Control Car|Doll House|Marble Run",
        "Wooden|Educational|Glow-in-the-Dark|Collector's|Travel|Washable",
        "count length",
        False,
        8,
    ),
    _category(
        "Bath Towel|Bed Sheet|Duvet Cover|Pillow|Blanket|Curtain|Tablecloth|Kitchen Towel",
        "Cotton|Microfibre|Hypoallergenic|Quilted|Blackout|Jacquard",
        "length count",
        False,
        9,
    ),
    _category(
        "Frying Pan|Saucepan|Chef's Knife|Cutting Board|Baking Tray|Food Container|"
        "Thermos Flask|Wine Glasses|Dinner Plates",
        "Non-Stick|Cast Iron|Stackable|Dishwasher-Safe|Bamboo|Induction",
        "length volume",
        False,
        7,
    ),
)
