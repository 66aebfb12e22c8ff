"""Words of the synthetic datasets: names, streets, subjects, and a generator of words that do not exist."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

Draw = Callable[
    [], float
]  # gives the next number in [0, 1); only this call of `Random` is stable across Python versions


def _listed(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in text.split(separator))


def _paired(text: str, separator: str | None = None) -> dict[str, str]:
    return {word: other for word, _, other in (entry.partition(":") for entry in _listed(text, separator))}


GIVEN = _listed(
    """
    Aaron Abigail Ada Adam Adele Adrian Agnes Ahmed Aisha Alan Albert Alexander Alexandra Alfred Alice Alina Allison
    Alma Amanda Amber Amelia Amir Amy Ana Andre Andrea Andrew Angela Anita Anna Anthony Anton Arjun Arthur Astrid
    Audrey Aurora Barbara Beatrice Benjamin Bernard Bianca Boris Brenda Brian Bridget Bruno Carl Carla Carmen
    Caroline Catherine Cecilia Charles Charlotte Chen Christian Christina Christopher Clara Claudia Colin Cora
    Cornelia Craig Cynthia Daniel Daniela Daphne David Deborah Dennis Diana Diego Dimitri Dominic Donald Donna Dora
    Dorothy Douglas Edgar Edith Eduardo Edward Eileen Elaine Eleanor Elena Elias Elijah Elizabeth Ella Ellen Elsa
    Emil Emily Emma Enrique Eric Erika Ernest Esther Ethan Eugene Eva Evelyn Fatima Felix Fernando Fiona Florence
    Frances Francis Frank Frederick Gabriel Gabriela George Gerald Gilbert Gina Giovanni Gloria Gordon Grace Graham
    Gregory Greta Gustav Hannah Harold Harriet Harry Hassan Heather Hector Heidi Helen Henry Hilda Hiro Howard Hugo
    Ian Ibrahim Ida Igor Ines Ingrid Irene Iris Isaac Isabel Ivan Jack Jacob James Jane Janet Jasmine Jason Jean
    Jeffrey Jennifer Jeremy Jessica Joan Johanna John Jonathan Jorge Joseph Joshua Joyce Juan Judith Julia Julian
    Karen Karim Katherine Kathleen Keiko Keith Kenneth Kevin Kimberly Kurt Lara Larry Laura Lawrence Leah Leila Leon
    Leonard Lewis Lillian Linda Lisa Lorenzo Louis Louise Lucas Lucia Lucy Luis Lydia Magnus Malcolm Manuel Marcus
    Margaret Maria Marie Marion Mark Marta Martha Martin Mary Matthew Maureen Maximilian Maya Mei Melissa Michael
    Michelle Miguel Mildred Miranda Mohammed Monica Nadia Nancy Naomi Natalie Nathan Nicholas Nicole Nina Noah Nora
    Olga Oliver Olivia Omar Oscar Pablo Pamela Patricia Patrick Paul Paula Pauline Pedro Penelope Peter Philip
    Philippa Priya Rachel Rafael Rajesh Ralph Ramona Raymond Rebecca Regina Richard Rita Robert Roberta Robin Roger
    Roland Ronald Rosa Rose Ruby Rudolf Russell Ruth Ryan Salma Samantha Samuel Sandra Sara Sebastian Sergio Sharon
    Sheila Simon Sofia Sonia Stanley Stella Stephanie Stephen Steven Stuart Susan Sven Sylvia Tamara Tanya Teresa
    Theodore Theresa Thomas Timothy Tobias Tomas Ursula Valerie Vanessa Vera Veronica Victor Victoria Vincent Viola
    Virginia Vivian Walter Wei Wendy Wilhelm William Winifred Xavier Yasmin Yolanda Yusuf Yvonne Zachary Zoe
    """
)
NICKNAMES = _paired(
    """
    Abigail:Abby Albert:Bert Alexander:Alex Alexandra:Sasha Alfred:Fred Amanda:Mandy Andrew:Andy Anthony:Tony
    Arthur:Art Barbara:Barb Benjamin:Ben Bernard:Bernie Catherine:Cathy Charles:Charlie Charlotte:Lottie
    Christina:Tina Christopher:Chris Cynthia:Cindy Daniel:Dan Deborah:Debbie Donald:Don Dorothy:Dot Douglas:Doug
    Edward:Ted Eleanor:Nell Elizabeth:Liz Emily:Em Eugene:Gene Florence:Flo Frances:Fran Francis:Frank
    Frederick:Fred Gabriel:Gabe Gerald:Gerry Gregory:Greg Harold:Harry Henry:Hank Isabel:Bella Jacob:Jake James:Jim
    Jeffrey:Jeff Jennifer:Jenny Jessica:Jess John:Jack Jonathan:Jon Joseph:Joe Joshua:Josh Judith:Judy
    Katherine:Kate Kathleen:Kath Kenneth:Ken Kimberly:Kim Lawrence:Larry Leonard:Len Lillian:Lily Margaret:Peggy
    Martha:Patty Matthew:Matt Maximilian:Max Michael:Mike Mildred:Millie Nathan:Nate Nicholas:Nick Pamela:Pam
    Patricia:Pat Patrick:Paddy Penelope:Penny Peter:Pete Philip:Phil Rachel:Rae Raymond:Ray Rebecca:Becky
    Richard:Dick Robert:Bob Roberta:Bobbie Ronald:Ron Rudolf:Rudi Samantha:Sam Samuel:Sam Sandra:Sandy Sebastian:Seb
    Stephanie:Steph Stephen:Steve Steven:Steve Susan:Sue Sylvia:Syl Teresa:Terry Theodore:Theo Theresa:Tess
    Thomas:Tom Timothy:Tim Tobias:Toby Valerie:Val Vanessa:Nessa Victor:Vic Victoria:Vicky Vincent:Vince
    Virginia:Ginny Walter:Walt William:Bill Winifred:Fred Zachary:Zach
    """
)
COMMON_SURNAMES = _listed(
    """
    Abbott|Ahmed|Alvarez|Andersen|Bailey|Baker|Becker|Bell|Bennett|Berger|Bianchi|Bishop|Booth|Bosch|Brennan|Brooks|
    Brown|Burke|Campbell|Carter|Castro|Chan|Chen|Chowdhury|Clark|Cohen|Collins|Conti|Cooper|Costa|Cruz|Da Silva|
    Dahl|Davies|Delgado|Dietrich|Dixon|Dubois|Duffy|Ellis|Eriksson|Evans|Farrell|Fernandez|Fischer|Fisher|Fleming|
    Flores|Foster|Fournier|Fraser|Fuchs|Garcia|Gibson|Gomez|Gordon|Grant|Green|Gupta|Haas|Hall|Hansen|Harris|
    Hartmann|Hayes|Henderson|Herrera|Hoffmann|Holm|Horvat|Hughes|Ibrahim|Ivanov|Jackson|Jansen|Jensen|Johansson|
    Johnson|Jones|Kaiser|Kaur|Keller|Kelly|Khan|Kim|King|Klein|Koch|Kovacs|Kowalski|Kumar|Lambert|Lang|Larsen|Lee|
    Lehmann|Lewis|Li|Lin|Lindgren|Lopez|Lund|Maier|Marino|Marsh|Martin|Mason|Mehta|Mendoza|Meyer|Miller|Mitchell|
    Moore|Morales|Moreau|Morgan|Moretti|Mori|Mueller|Murphy|Nakamura|Nelson|Nguyen|Nielsen|Nolan|Novak|Oliveira|
    Ortega|Osman|Owen|Palmer|Parker|Patel|Pereira|Peters|Petrov|Phillips|Popescu|Price|Quinn|Ramirez|Rao|Reid|Reyes|
    Ricci|Richter|Rivera|Roberts|Robinson|Romano|Rossi|Roy|Russo|Ryan|Sanchez|Santos|Sato|Schmidt|Schneider|Schulz|
    Scott|Sharma|Shaw|Silva|Simon|Singh|Smith|Sokolov|Spencer|Stein|Stewart|Suzuki|Svensson|Tanaka|Taylor|Thomas|
    Torres|Tran|Turner|Urban|Vargas|Vogel|Wagner|Walker|Walsh|Wang|Ward|Watson|Weber|Weiss|White|Williams|Wilson|
    Winter|Wolf|Wong|Wood|Wright|Wu|Yamamoto|Yilmaz|Young|Zhang|Zimmermann
    """,
    "|",
)
_STEMS = _listed(
    """
    Ash Bar Beck Bram Brad Bren Cal Carl Chad Clif Col Cran Dal Den Dun Eber Ed Elm Fair Fen Gar Gil Glen Gran Had
    Hal Har Hart Hazel Hol Hun Kel Ken Kir Lam Lang Lin Lock Mal Mar Mel Mil Nor Oak Os Pem Pres Rad Ram Red Ros Row
    Sal Sel Shel Stan Stock Strat Sut Thorn Til Wal War Wes Whit Wil Win Wood Wy
    """
)
_ENDINGS = _listed(
    """
    berg borne bridge brook bury by church cliff combe cott croft dale den feld field ford gate grave ham hart hurst
    land ley low man mere more ridge rick shaw side stead stein stone stow ton ville water well wick win wood worth
    """
)
RARE_SURNAMES = tuple(a + b for a in _STEMS for b in _ENDINGS if a[-1] != b[0])
TOWNS = tuple(
    f"{before}{a}{b}{after}"
    for before, after in (("", ""), ("North ", ""), ("", " Heights"), ("Upper ", ""), ("", " Park"))
    for a in _STEMS[::2]
    for b in _ENDINGS[1::3]
    if a[-1] != b[0]
)
STREETS = _listed(
    """
    Acacia Albion Alder Almond Anchor Apple Archer Aspen Banksia Baker Barrack Bay Beach Birch Blossom Bond Boundary
    Bridge Broad Brook Canal Canning Castle Cathedral Cedar Chapel Cherry Chestnut Church Circular Clover College
    Commerce Copper Coral Cottage Court Creek Crown Cypress Daisy Depot Dover Eagle East Elder Elm Emerald Factory
    Falcon Fern Ferry Field Fir Forest Forge Fountain Garden Gate George Glebe Granite Grange Green Grove Harbour
    Hawthorn Hazel Heath Heron High Hill Holly Iris Ivy Jasmine Jubilee Juniper Kestrel King Kingfisher Lake Lantern
    Laurel Lavender Lilac Lime Linden Long Low Magnolia Maple Market Meadow Mercer Mill Mint Moor Mulberry Myrtle
    New North Oak Observatory Olive Orchard Palm Park Pearl Pine Pioneer Poplar Port Primrose Prince Quarry Quay
    Queen Railway Raven Ridge River Robin Rose Rowan Saffron School Silver Slate South Spring Spruce Station Stone
    Summer Swan Sycamore Tannery Temple Thistle Tower Union Valley Victoria Vine Violet Walnut Warren Water Weaver
    Well West Wharf Wheat Willow Windmill Wren Yew
    """
)
STREET_KINDS = _listed("Street Street Street Road Road Avenue Avenue Lane Drive Court Place Crescent Terrace Close")

SHORT_FORMS = _paired(
    """
    Street:St Road:Rd Avenue:Ave Lane:Ln Drive:Dr Court:Ct Place:Pl Crescent:Cres Terrace:Tce Close:Cl North:N
    South:S East:E West:W Upper:Upr Heights:Hts Park:Pk Journal:J. Transactions:Trans. International:Int.
    Conference:Conf. Workshop:Wksp. Symposium:Symp. Proceedings:Proc. Review:Rev. Letters:Lett. Annals:Ann.
    Bulletin:Bull. Archives:Arch. Engineering:Eng. Sciences:Sci. Science:Sci. Systems:Syst. Research:Res.
    Management:Manag. Computing:Comput. Theory:Th. Applications:Appl. Applied:Appl. Technology:Tech. and:& with:w/
    for:f. without:w/o Black:Blk White:Wht Silver:Slv Stainless:SS Steel:Stl Wireless:Wless Portable:Port.
    Professional:Pro Rechargeable:Rchg. Adjustable:Adj. Electric:Elec. Automatic:Auto Digital:Dig. Memory:Mem.
    Keyboard:Kbd Monitor:Mon. Speaker:Spkr Headphones:Hdphns. Television:TV Camera:Cam. Refrigerator:Fridge
    Microphone:Mic Battery:Batt. Cartridge:Cart. Organic:Org. Chocolate:Choc.
    """
)
SYNONYMS = _paired(
    """
    Laptop:Notebook PC|Notebook:Laptop|Ultrabook:Slim Laptop|Tablet:Tablet PC|LCD Monitor:Flat Panel Display|
    LED Monitor:LED Display|LCD Television:LCD TV|LED TV:Television|USB Flash Drive:Memory Stick|
    External Hard Drive:Portable HDD|Solid State Drive:SSD|Memory Module:RAM|Camcorder:Video Camera|
    Headphones:Headset|In-Ear Headphones:Earbuds|Bookshelf Speaker:Loudspeaker|Toner Cartridge:Toner|
    Ink Cartridge:Ink Tank|Flatbed Scanner:Document Scanner|Paper Shredder:Shredder|Wireless Router:WLAN Router|
    Network Switch:Ethernet Switch|Access Point:WiFi Extender|Network Camera:IP Camera|Phone Case:Cover|
    Power Bank:Portable Charger|Microwave Oven:Microwave|Refrigerator:Fridge|Gas Range:Gas Cooker|
    Tumble Dryer:Clothes Dryer|Kettle:Water Boiler|Coffee Maker:Coffee Machine|Hand Mixer:Electric Whisk|
    Vacuum Cleaner:Hoover|Steam Iron:Iron|Space Heater:Radiator|Cordless Drill:Battery Drill Driver|
    Pipe Wrench:Plumber's Wrench|Tape Measure:Measuring Tape|Lawn Mower:Mower|Garden Hose:Water Hose|
    Leaf Blower:Garden Blower|Car Battery:Starter Battery|Office Chair:Desk Chair|Bookcase:Shelf Unit|
    Wardrobe:Closet|Ballpoint Pens:Biros|Running Shoes:Sneakers|Hiking Backpack:Rucksack|Body Lotion:Body Milk|
    Shower Gel:Body Wash|Hair Conditioner:Conditioner|Plush Bear:Teddy|Frying Pan:Skillet|Duvet Cover:Quilt Cover|
    Blanket:Throw|Curtain:Drape|Cutting Board:Chopping Board
    """,
    "|",
)
ADJECTIVES = _listed(
    """
    Adaptive Approximate Asynchronous Automatic Bayesian Bounded Causal Comparative Compact Compositional Concurrent
    Constrained Continuous Convex Cooperative Cost-Based Declarative Deductive Deterministic Differential Discrete
    Distributed Dynamic Early Efficient Elastic Empirical Exact Experimental Explainable Extensible Fair Fast
    Faithful Fault-Tolerant Flexible Formal Fuzzy General Generative Global Gradual Hierarchical Hybrid Incremental
    Interactive Interpretable Iterative Joint Large-Scale Latent Lazy Linear Local Logical Long-Term Low-Cost
    Minimal Mobile Modular Monotone Multilevel Multivariate Nonlinear Nonparametric Online Optimal Parallel Partial
    Persistent Practical Predictive Private Probabilistic Progressive Quantitative Randomised Reactive Recursive
    Relational Reliable Robust Scalable Secure Seasonal Selective Self-Tuning Semantic Sequential Simple Sparse
    Spatial Stable Static Statistical Stochastic Structured Symbolic Temporal Topological Transparent Uncertain
    Unified Unsupervised Verified Virtual
    """
)
THINGS = _listed(
    """
    Access Control|Aggregate Queries|Air Quality|Alloy Fatigue|Antibody Binding|Argument Mining|Bone Density|
    Buffer Management|Cache Coherence|Carbon Cycles|Cell Growth|Change Detection|Clinical Trials|Cloud Storage|
    Coastal Erosion|Column Stores|Community Detection|Compiler Optimisation|Concept Drift|Consensus Protocols|
    Crop Rotation|Crowd Work|Data Cleaning|Data Cubes|Data Streams|Data Warehouses|Decision Trees|Dialogue Systems|
    Digital Archives|Document Retrieval|Drug Interactions|Electricity Markets|Electronic Markets|Entity Resolution|
    Event Logs|Exchange Rates|Eye Movements|Face Recognition|Feature Selection|Flood Forecasts|
    Functional Dependencies|Gene Expression|Glacier Retreat|Graph Databases|Graph Matching|Groundwater Flow|
    Hash Joins|Health Records|Hearing Loss|Heat Transfer|Image Segmentation|Index Structures|Indoor Positioning|
    Information Extraction|Insect Populations|Job Scheduling|Join Ordering|Kernel Methods|Key-Value Stores|
    Knowledge Bases|Labour Mobility|Language Acquisition|Lock Managers|Machine Translation|Main-Memory Databases|
    Marine Sediments|Market Volatility|Materialised Views|Medical Images|Melody Retrieval|Metadata Catalogues|
    Migration Flows|Mobile Agents|Moving Objects|Multimedia Objects|Muscle Fatigue|Nearest Neighbours|
    Network Traffic|Neural Networks|Object Stores|Ontology Alignment|Opinion Polls|Pattern Mining|Peer Review|
    Pension Systems|Plant Genomes|Polymer Blends|Power Grids|Price Indices|Privacy Policies|Process Models|
    Protein Folding|Public Transport|Query Languages|Query Plans|Random Forests|Recommender Systems|Record Linkage|
    Recovery Logs|Regional Growth|Remote Sensing|Renewable Energy|Replicated Data|Road Networks|Robot Navigation|
    Satellite Images|Schema Mappings|School Choice|Search Engines|Seismic Signals|Sensor Networks|
    Sequence Alignment|Set Similarity|Shared Memory|Skyline Queries|Sleep Patterns|Social Networks|Soil Moisture|
    Solar Cells|Spatial Joins|Speech Signals|Spreadsheet Formulas|Steel Corrosion|Stock Returns|String Search|
    Supply Chains|Survey Responses|Synaptic Plasticity|Tax Compliance|Text Corpora|Time Series|Traffic Forecasts|
    Transaction Processing|Tree Patterns|Tumour Growth|Type Systems|Urban Planning|User Interfaces|Vaccine Uptake|
    Version Control|Video Databases|Voting Rules|Water Treatment|Wave Propagation|Weather Models|Web Services|
    Wind Turbines|Workflow Engines|XML Documents
    """,
    "|",
)
ACTIONS = _listed(
    """
    Analysing Annotating Auditing Balancing Benchmarking Bounding Caching Calibrating Classifying Clustering
    Combining Comparing Compressing Controlling Debugging Decomposing Designing Detecting Discovering Distilling
    Embedding Enumerating Estimating Evaluating Evolving Explaining Exploring Filtering Forecasting Fusing
    Generating Grouping Handling Improving Indexing Inferring Integrating Learning Maintaining Managing Measuring
    Merging Mining Modelling Monitoring Navigating Optimising Partitioning Planning Predicting Processing Profiling
    Proving Pruning Querying Ranking Reconstructing Reducing Refining Repairing Sampling Scheduling Searching
    Securing Segmenting Sharing Simulating Summarising Supporting Testing Tracing Tracking Transforming Tuning
    Understanding Validating Verifying Visualising
    """
)
METHODS = _listed(
    """
    Active Learning|Answer Sets|Association Rules|Bayesian Networks|Belief Propagation|Bloom Filters|
    Boolean Circuits|Bootstrap Samples|Branch and Bound|Conditional Random Fields|Constraint Solving|Cost Models|
    Cross-Validation|Differential Equations|Dynamic Programming|Expert Panels|Factor Graphs|Finite Elements|
    Fourier Descriptors|Game Trees|Genetic Algorithms|Gradient Boosting|Hash Functions|Hidden Markov Models|
    Integer Programming|Interval Logic|Item Response Models|Kalman Filters|Lattice Theory|Linear Programming|
    Local Search|Locality-Sensitive Hashing|Logic Programs|Matrix Factorisation|Mixture Models|Monte Carlo Methods|
    Mutual Information|Online Experiments|Panel Data|Petri Nets|Principal Components|Process Algebra|
    Propensity Scores|Proxy Variables|Quasi-Experiments|Query Rewriting|Random Projections|Random Walks|
    Regular Expressions|Reinforcement Learning|Rough Sets|Sketches|Spectral Methods|Structural Equations|
    Suffix Trees|Support Vectors|Survival Analysis|Tensor Networks|Transfer Learning|Tree Automata|User Feedback|
    Wavelets|Weak Supervision
    """,
    "|",
)
FIELDS = _listed(
    """
    Agricultural Economics|Applied Statistics|Archaeological Science|Artificial Intelligence|Atmospheric Physics|
    Biomedical Engineering|Civil Engineering|Clinical Medicine|Cognitive Science|Communication Networks|
    Computational Biology|Computational Linguistics|Computer Graphics|Computer Security|Control Theory|
    Data Engineering|Data Management|Decision Sciences|Digital Libraries|Distributed Computing|Earth Systems|
    Educational Measurement|Energy Research|Environmental Management|Experimental Psychology|Financial Research|
    Food Technology|Geographic Information|Health Informatics|Human Factors|Image Processing|Industrial Ecology|
    Information Retrieval|Information Systems|Knowledge Discovery|Labour Studies|Machine Learning|Marine Ecology|
    Materials Science|Mathematical Logic|Medical Imaging|Molecular Genetics|Multimedia Systems|Operations Research|
    Pattern Analysis|Plant Physiology|Political Methodology|Public Policy|Quality Control|Regional Science|
    Remote Sensing|Robotics and Automation|Social Statistics|Software Engineering|Sound and Vibration|
    Structural Mechanics|Theoretical Computing|Transport Planning|Urban Studies|Very Large Databases|
    Water Resources|Web Technology
    """,
    "|",
)

_STRIDE = 389  # a prime that divides no list's length, so that every word is reached
_ONSETS = _listed("b b c d d f g h j k l l m m n n p r r s s t t v w z br cl dr fl gr kr pl pr qu sk st tr")
_NUCLEI = _listed("a a a a e e e e i i i o o o o u u ia eo ai ee")
_CODAS = _listed("l n n r s x m k nd rt th ck")


@lru_cache(maxsize=4)
def pseudo_words(seed: int, count: int) -> tuple[str, ...]:
    """Distinct pronounceable capitalised words that carry no meaning, [count]; the same for the same seed."""
    draw = Random(f"words {seed}").random
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(pick(_ONSETS, draw) + pick(_NUCLEI, draw) for _ in range(2 if draw() < 0.8 else 3))
        words[(word + (pick(_CODAS, draw) if draw() < 0.7 else "")).capitalize()] = None
    return tuple(words)


def pick(options: Sequence[str], draw: Draw) -> str:
    """One of the options, all equally likely."""
    return options[int(draw() * len(options))]


def pick_frequent(options: tuple[str, ...], draw: Draw) -> str:
    """One of the options, some far likelier than others, as names in real tables are; the likely ones lie apart."""
    share = draw()
    return options[int(share**1.5 * len(options)) * _STRIDE % len(options)]


def surname(draw: Draw) -> str:
    """A family name, more often a common one than one of thousands of rare ones."""
    return pick_frequent(COMMON_SURNAMES, draw) if draw() < 0.55 else pick(RARE_SURNAMES, draw)
