"""Names as people bear them in many places, and the time zones they live in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Culture:
    """Given and family names that go together, and zones, the common ones named more than once."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    zones: tuple[str, ...]


def _culture(given: str, family: str, zones: str) -> Culture:
    return Culture(tuple(given.split()), tuple(family.split()), tuple(zones.split()))


CULTURES: tuple[Culture, ...] = (
    _culture(
        "Amara Chidi Ngozi Emeka Adaeze Tunde Folake Ifeanyi Yetunde Obinna Zainab Sade Kelechi Uche Bola Musa",
        "Okafor Adeyemi Okonkwo Balogun Eze Nwosu Adebayo Ibrahim Obi Ogunleye Chukwu Bello Afolabi Danjuma",
        "Africa/Lagos Africa/Lagos Africa/Lagos Europe/London",
    ),
    _culture(
        "Emma James Olivia Harry Charlotte George Amelia Oliver Grace Thomas Alice Edward Lucy Henry Ruth Owen",
        "Smith Taylor Brown Wilson Evans Walker Hughes Clarke Turner Bennett Harrison Cooper Ward Fletcher",
        "Europe/London Europe/London Europe/London Europe/Dublin Australia/Sydney",
    ),
    _culture(
        "Emily Michael Ashley Tyler Madison Ethan Hannah Logan Abigail Mason Nora Caleb Claire Wyatt Naomi Dylan",
        "Johnson Miller Davis Anderson Jackson Thompson White Martin Robinson Lewis Parker Hayes Brooks Coleman",
        "America/New_York America/New_York America/Chicago America/Denver America/Los_Angeles America/Toronto",
    ),
    _culture(
        "Lena Jonas Anna Felix Marie Lukas Greta Matthias Johanna Jürgen Katharina Moritz Frieda Stefan Heike Tobias",
        "Müller Schmidt Weber Fischer Wagner Becker Schäfer Koch Richter Krüger Vogel Böhm Lang Zimmermann",
        "Europe/Berlin Europe/Berlin Europe/Berlin Europe/Vienna Europe/Zurich",
    ),
    _culture(
        "Camille Hugo Léa Antoine Chloé Julien Manon Théo Inès Mathieu Élise Baptiste Margaux Rémi Sylvie Olivier",
        "Martin Bernard Dubois Moreau Laurent Lefèvre Roux Girard Fontaine Mercier Blanchard Chevalier Perrin Noël",
        "Europe/Paris Europe/Paris Europe/Paris Europe/Brussels America/Toronto",
    ),
    _culture(
        "Lucía Mateo Sofía Pablo Carmen Álvaro Elena Javier Paula Sergio Marta Íñigo Rocío Adrián Nuria Gonzalo",
        "García Fernández López Martínez Sánchez Pérez Gómez Ruiz Jiménez Navarro Torres Vázquez Molina Ortega",
        "Europe/Madrid Europe/Madrid Atlantic/Canary",
    ),
    _culture(
        "Valentina Santiago Camila Diego Isabella Andrés Ximena Emiliano Renata Joaquín Catalina Tomás Luciana Iván",
        "Hernández Rodríguez González Ramírez Castillo Vargas Morales Rojas Guzmán Salazar Mendoza Cárdenas Peña Ríos",
        "America/Mexico_City America/Mexico_City America/Bogota America/Lima America/Santiago "
        "America/Argentina/Buenos_Aires",
    ),
    _culture(
        "Ana João Beatriz Pedro Mariana Rafael Larissa Gustavo Letícia Thiago Inês Duarte Fernanda Caio Débora Vitor",
        "Silva Santos Oliveira Souza Pereira Costa Ferreira Almeida Carvalho Ribeiro Gonçalves Araújo Barbosa Rocha",
        "America/Sao_Paulo America/Sao_Paulo America/Sao_Paulo Europe/Lisbon America/Manaus",
    ),
    _culture(
        "Giulia Marco Chiara Luca Francesca Matteo Alessia Davide Elisa Lorenzo Martina Niccolò Silvia Paolo Serena",
        "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Conti Gallo Mancini Lombardi",
        "Europe/Rome",
    ),
    _culture(
        "Freya Lars Ingrid Erik Astrid Magnus Solveig Anders Linnea Søren Karin Håkon Maja Björn Sigrid Mikkel",
        "Hansen Johansson Nilsen Larsen Lindqvist Andersen Berg Holm Dahl Sørensen Lund Åkesson Haugen Nyström",
        "Europe/Oslo Europe/Stockholm Europe/Stockholm Europe/Copenhagen",
    ),
    _culture(
        "Aino Eetu Helmi Mikko Sanna Juhani Päivi Ville Riikka Antti Kaisa Jari Tuuli Pekka Anneli Timo",
        "Korhonen Virtanen Mäkinen Nieminen Laine Heikkinen Koskinen Järvinen Lehtonen Salonen Rantanen Kallio",
        "Europe/Helsinki",
    ),
    _culture(
        "Zofia Jakub Hanna Szymon Maja Wojciech Agnieszka Michał Kasia Paweł Magdalena Łukasz Ewa Tomasz Oliwia Piotr",
        "Nowak Kowalski Lewandowski Zieliński Wójcik Mazur Krawczyk Dąbrowski Pawlak Górski Sikora Wróbel Duda",
        "Europe/Warsaw",
    ),
    _culture(
        "Tereza Jakub Eliška Ondřej Kateřina Tomáš Veronika Martin Zuzana Vojtěch Lucie Petr Klára Radek",
        "Novák Svoboda Dvořák Černý Procházka Kučera Veselý Horák Němec Pokorný Marek Hájek Jelínek",
        "Europe/Prague Europe/Prague Europe/Bratislava",
    ),
    _culture(
        "Olena Andriy Iryna Taras Oksana Bohdan Daryna Mykola Svitlana Yaroslav Halyna Maksym Larysa Ostap",
        "Shevchenko Kovalenko Bondarenko Tkachenko Kravchenko Melnyk Lysenko Marchenko Savchenko Rudenko Petrenko",
        "Europe/Kyiv",
    ),
    _culture(
        "Eleni Giorgos Katerina Nikos Sofia Dimitris Ioanna Yannis Despina Kostas Anthi Stavros Danae Petros",
        "Papadopoulos Nikolaidis Georgiou Vlachos Antoniou Makris Christou Pappas Angelidis Samaras Kotsis",
        "Europe/Athens Europe/Athens Asia/Nicosia",
    ),
    _culture(
        "Elif Emre Zeynep Mehmet Ayşe Kerem Defne Burak Selin Ozan Gül Cem Esra Tolga Şebnem Deniz",
        # The dotless letter belongs there.
        "Yılmaz Kaya Demir Çelik Şahin Aydın Öztürk Arslan Doğan Koç Kurt Aksoy Polat Erdem",  # noqa: RUF001  # Turkish letters
        "Europe/Istanbul",
    ),
    _culture(
        "Layla Omar Fatima Yusuf Nour Karim Huda Tariq Salma Hassan Rania Khalid Mariam Samir Dina Faisal",
        "Haddad Mansour Khalil Farouk Nasser Aziz Sabbagh Darwish Qasim Rahman Zaki Barakat Shaheen Hakimi",
        "Africa/Cairo Africa/Cairo Asia/Riyadh Asia/Dubai Asia/Amman Africa/Casablanca",
    ),
    _culture(
        "Noa Eitan Tamar Yonatan Shira Ariel Yael Daniel Michal Gideon Talia Amit Rivka Oren",
        "Levi Mizrahi Peretz Biton Friedman Shapiro Azoulay Katz Malka Rosen Avraham Golan Segal",
        "Asia/Jerusalem",
    ),
    _culture(
        "Shirin Dariush Niloufar Reza Parisa Kaveh Azadeh Babak Mahsa Arash Golnaz Navid Yasmin Siavash",
        "Ahmadi Hosseini Karimi Rezaei Moradi Jafari Tehrani Shirazi Ebrahimi Farahani Sadeghi Nouri",
        "Asia/Tehran",
    ),
    _culture(
        "Priya Arjun Ananya Rohan Kavya Vikram Meera Aditya Divya Rahul Ishita Sanjay Lakshmi Nikhil Asha Karthik",
        "Sharma Patel Iyer Gupta Reddy Nair Mehta Singh Banerjee Rao Desai Menon Kulkarni Chatterjee Verma Joshi",
        "Asia/Kolkata Asia/Kolkata Asia/Kolkata Asia/Kolkata Asia/Dubai",
    ),
    _culture(
        "Ayesha Bilal Hira Usman Sana Hamza Mahnoor Imran Nadia Shahid Rabia Farhan Tahmina Rafiq",
        "Khan Malik Ahmed Hussain Qureshi Siddiqui Chaudhry Akhtar Mirza Rahim Chowdhury Sheikh Alam",
        "Asia/Karachi Asia/Karachi Asia/Dhaka",
    ),
    _culture(
        "Wei Xiuying Jun Mei Hao Lihua Tao Yan Lei Jing Ming Xia Peng Ling Yuchen Zihan",
        "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Zhu Gao Lin He",
        "Asia/Shanghai Asia/Shanghai Asia/Shanghai Asia/Hong_Kong Asia/Taipei Asia/Singapore",
    ),
    _culture(
        "Haruto Yui Sota Aoi Ren Hina Yuto Sakura Daiki Misaki Kenji Naoko Takumi Emi Ryo Keiko",
        "Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Mori Hayashi Shimizu",
        "Asia/Tokyo",
    ),
    _culture(
        "Minjun Seoyeon Jiho Haeun Dohyun Jiwoo Hyunwoo Soojin Taeyang Yuna Sangmin Eunji Junseo Mirae",
        "Kim Lee Park Choi Jung Kang Yoon Jang Lim Han Shin Seo Kwon Hwang",
        "Asia/Seoul",
    ),
    _culture(
        "Linh Minh Thao Duc Huong Quang Trang Tuan Lan Khanh Mai Phuc Ngoc Hieu",
        "Nguyen Tran Le Pham Hoang Phan Vu Dang Bui Do Ho Ngo Duong",
        "Asia/Ho_Chi_Minh",
    ),
    _culture(
        "Putri Budi Dewi Agus Siti Rizky Wulan Bayu Indah Hendra Ratna Eko Ayu Dimas",
        "Santoso Wijaya Pratama Lestari Saputra Kusuma Hidayat Nugroho Siregar Setiawan Utami Halim",
        "Asia/Jakarta Asia/Jakarta Asia/Makassar Asia/Kuala_Lumpur",
    ),
    _culture(
        "Maria Jose Angelica Ramon Rosario Miguel Liza Carlo Jasmine Paolo Corazon Enrique Tala Jericho",
        "Reyes Cruz Bautista Ocampo Villanueva Aquino Mercado Castro Manalo Dizon Pascual Salonga",
        "Asia/Manila",
    ),
    _culture(
        "Wanjiru Kamau Achieng Otieno Njeri Kipchoge Akinyi Baraka Zawadi Juma Neema Mwangi Amani Rehema",
        "Kariuki Odhiambo Njoroge Wambui Mutua Kiprop Ochieng Maina Nyong Mwakasege Chebet Omondi",
        "Africa/Nairobi Africa/Nairobi Africa/Dar_es_Salaam Africa/Kampala",
    ),
    _culture(
        "Thandiwe Sipho Lerato Themba Nomsa Bongani Zanele Pieter Anika Mandla Naledi Johan Palesa Kagiso",
        "Dlamini Nkosi Botha Mokoena Khumalo Naidoo Zulu Smit Mahlangu Ndlovu Sithole Fourie Molefe",
        "Africa/Johannesburg",
    ),
    _culture(
        "Selam Abebe Hiwot Dawit Tigist Yonas Meron Bekele Rahel Kebede Almaz Girma Senait Tesfaye",
        "Tadesse Haile Gebre Alemu Wolde Assefa Desta Negash Mekonnen Tessema Lemma Demissie",
        "Africa/Addis_Ababa",
    ),
    _culture(
        "Kwame Akosua Kofi Abena Yaw Efua Kojo Ama Kwesi Adwoa Nana Esi Fiifi Afia",
        "Mensah Asante Boateng Owusu Osei Appiah Ofori Darko Addo Quaye Amoah Antwi",
        "Africa/Accra",
    ),
    _culture(
        "Aroha Tane Mere Wiremu Ngaire Rawiri Hinemoa Nikau Anahera Hemi Kiri Manaia",
        "Ngata Parata Tamihana Rangi Walker Henare Paki Morrison Hohepa Kingi Turei",
        "Pacific/Auckland Pacific/Auckland Australia/Brisbane",
    ),
)
